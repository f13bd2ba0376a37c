package io.plinth.tools.attach;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.plinth.engine.memory.Posix;
import io.plinth.tools.attach.AttachException.Kind;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A scripted kernel, whose waiting is what moves the clock, and scripted servers. */
@Timeout(60)
class AttachmentTest {
  private static final int FLAGS = 0x16d;
  private static final Export DEMO = new Export("demo", 1 << 20, FLAGS, 512);

  private final FakeKernel kernel = new FakeKernel();
  private final List<String> dials = new ArrayList<>();
  private final Deque<Object> answers = new ArrayDeque<>();
  private final List<String> said = new ArrayList<>();
  private Export always = DEMO;
  private boolean keep;
  private boolean inUse;
  private long nowNs = TimeUnit.DAYS.toNanos(1);
  private long socketsBefore;
  private Attachment attachment;

  private final class FakeKernel implements NbdControl {
    private final List<String> commands = new ArrayList<>();
    private final Deque<Runnable> waits = new ArrayDeque<>();
    private boolean attached;
    private String volume;
    private long sizeBytes;
    private int lost;

    @Override
    public void connect(int index, Export export, long deadTimeoutS, List<Link> links)
        throws AttachException {
      if (attached) {
        throw new AttachException(Kind.BUSY, "/dev/nbd" + index + " is attached already");
      }
      commands.add("connect " + index + " links " + links.size() + " dead " + deadTimeoutS);
      attached = true;
    }

    @Override
    public void reconfigure(int index, String name, List<Link> links) {
      commands.add("reconfigure " + index + " " + name + " links " + links.size());
    }

    @Override
    public void disconnect(int index) {
      commands.add("disconnect " + index);
      attached = false;
    }

    @Override
    public List<Integer> attached() {
      return attached ? List.of(0) : List.of(4);
    }

    @Override
    public int awaitDeadLinks(int index, long timeoutMs) {
      nowNs += TimeUnit.MILLISECONDS.toNanos(timeoutMs);
      if (!waits.isEmpty()) {
        waits.poll().run();
      }
      int result = lost;
      lost = 0;
      return result;
    }

    @Override
    public void close() {}
  }

  private final class FakeFiles implements Attachment.DeviceFiles {
    @Override
    public String volume(int index) {
      return kernel.volume;
    }

    @Override
    public long sizeBytes(int index) {
      return kernel.sizeBytes;
    }

    @Override
    public boolean isInUse(int index) {
      return inUse;
    }

    @Override
    public void flush(int index) {
      kernel.commands.add("flush " + index);
    }

    @Override
    public boolean setRetryMs(int index, long retryMs) {
      kernel.commands.add("retry " + retryMs);
      return true;
    }
  }

  private Link dial(String server, String volume) throws AttachException {
    dials.add(server);
    Object answer = answers.isEmpty() ? always : answers.poll();
    if (answer instanceof Export export) {
      return new Link(Posix.streamSocket(1), export, server);
    }
    throw (AttachException) answer;
  }

  private static AttachException refused(String server) {
    return new AttachException(Kind.UNREACHABLE, server + ": connection refused");
  }

  private void create(int connections, String... servers) {
    attachment =
        new Attachment(
            kernel,
            this::dial,
            new AttachSettings("demo", 0, List.of(servers), connections, 30, keep),
            () -> nowNs,
            new FakeFiles(),
            event -> said.add(event.message()));
  }

  /** Stops from within the loop, as a signal would, without waiting. */
  private void stop() {
    Thread stopper = new Thread(attachment::stop);
    stopper.setDaemon(true);
    // Tests that expect a failure call it themselves, too.
    stopper.setUncaughtExceptionHandler((thread, e) -> {});
    stopper.start();
    while (stopper.getState() != Thread.State.TIMED_WAITING && stopper.isAlive()) {
      Thread.onSpinWait();
    }
  }

  private Runnable lose(int links) {
    return () -> kernel.lost = links;
  }

  private void runScript(Runnable... waits) throws AttachException {
    kernel.waits.addAll(List.of(waits));
    attachment.run();
  }

  @BeforeEach
  void countSockets() throws IOException {
    socketsBefore = SocketDiallerTest.openSockets();
  }

  /** Whatever happened: the kernel has its own references, and ours are closed. */
  @AfterEach
  void noSocketIsLeftOpen() throws IOException {
    assertThat(SocketDiallerTest.openSockets()).isEqualTo(socketsBefore);
  }

  @Test
  void attachesAndDetachesWithAFlush() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    runScript(this::stop);
    assertThat(kernel.commands)
        .containsExactly("connect 0 links 1 dead 30", "retry 2000", "flush 0", "disconnect 0");
    assertThat(said)
        .containsExactly(
            "attached /dev/nbd0: 1048576 bytes of volume \"demo\" at a:1", "detached /dev/nbd0");
  }

  @Test
  void severalConnectionsGoToOneServerThatAllowsThem() throws AttachException {
    answers.add(refused("a:1"));
    create(3, "a:1", "b:1");
    attachment.attach();
    assertThat(dials).containsExactly("a:1", "b:1", "b:1", "b:1");
    assertThat(kernel.commands).contains("connect 0 links 3 dead 30");
  }

  @Test
  void aServerThatAllowsOneConnectionGetsOne() throws AttachException {
    always = new Export("demo", 1 << 20, 0x6d, 512);
    create(3, "a:1");
    attachment.attach();
    assertThat(kernel.commands).contains("connect 0 links 1 dead 30");
    assertThat(said.getFirst()).isEqualTo("the server allows one connection only");
  }

  @Test
  void noServerMeansNoAttachment() {
    answers.add(refused("a:1"));
    answers.add(refused("b:1"));
    create(1, "a:1", "b:1");
    AttachException failure = catchThrowableOfType(AttachException.class, attachment::attach);
    assertThat(failure)
        .hasMessage("no server can be reached: a:1: connection refused; b:1: connection refused");
    assertThat(failure.kind()).isEqualTo(Kind.UNREACHABLE);
  }

  @Test
  void whatAServerSaysWeighsMoreThanSilence() {
    answers.add(new AttachException(Kind.NOT_FOUND, "a:1 has no volume \"demo\""));
    answers.add(refused("b:1"));
    create(1, "a:1", "b:1");
    AttachException failure = catchThrowableOfType(AttachException.class, attachment::attach);
    assertThat(failure.kind()).isEqualTo(Kind.NOT_FOUND);
  }

  @Test
  void aBusyDeviceIsLeftAlone() {
    kernel.attached = true;
    kernel.volume = "other";
    create(1, "a:1");
    AttachException failure = catchThrowableOfType(AttachException.class, attachment::attach);
    assertThat(failure).hasMessage("/dev/nbd0 is attached already");
    assertThat(kernel.commands).isEmpty();
  }

  @Test
  void aDeviceThatWasLeftAttachedIsTakenOver() throws AttachException {
    kernel.attached = true;
    kernel.volume = "demo";
    kernel.sizeBytes = DEMO.sizeBytes();
    create(1, "a:1");
    attachment.attach();
    assertThat(kernel.commands).containsExactly("reconfigure 0 demo links 1", "retry 2000");
    assertThat(said.getFirst()).startsWith("took over /dev/nbd0");
  }

  @Test
  void aDeviceIsNotTakenOverWithASmallerVolume() {
    kernel.attached = true;
    kernel.volume = "demo";
    kernel.sizeBytes = DEMO.sizeBytes() + 512;
    create(1, "a:1");
    AttachException failure = catchThrowableOfType(AttachException.class, attachment::attach);
    assertThat(failure.kind()).isEqualTo(Kind.REFUSED);
    assertThat(kernel.commands).isEmpty();
  }

  @Test
  void aLostConnectionIsDialledAtOnceAndThenWithPausesThatGrow() throws AttachException {
    create(1, "a:1", "b:1");
    attachment.attach();
    dials.clear();
    for (int i = 0; i < 4; i++) {
      answers.add(refused("x"));
    }
    long[] lostNs = new long[1];
    runScript(
        () -> {
          kernel.lost = 1;
          lostNs[0] = nowNs;
        },
        () -> {}, // 100 ms
        () -> {}, // 200 ms
        this::stop);
    assertThat(dials).containsExactly("a:1", "b:1", "a:1", "b:1", "a:1");
    assertThat(said)
        .contains("connection lost: /dev/nbd0", "reconnected after 0.3 s: /dev/nbd0 to a:1");
    assertThat(kernel.commands).contains("reconfigure 0 demo links 1");
  }

  @Test
  void connectionsThatDoNotHoldAreNotDialledInAHurry() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    long beginNs = nowNs;
    for (int i = 0; i < 200; i++) {
      kernel.waits.add(lose(1));
    }
    runScript(this::stop);
    long rounds = dials.size() - 1L;
    // Two seconds between rounds in the end, with a fresh loss at every look at the kernel.
    assertThat((nowNs - beginNs) / rounds).isGreaterThan(TimeUnit.MILLISECONDS.toNanos(150));
    assertThat(rounds).isBetween(2L, 201L);
  }

  @Test
  void eachLostConnectionIsReplaced() throws AttachException {
    create(3, "a:1");
    attachment.attach();
    runScript(lose(2), this::stop);
    assertThat(kernel.commands.stream().filter("reconfigure 0 demo links 1"::equals)).hasSize(2);
  }

  @Test
  void allConnectionsAreReplacedWhenNotificationsWereLost() throws AttachException {
    create(3, "a:1");
    attachment.attach();
    runScript(lose(NbdControl.UNKNOWN), this::stop);
    assertThat(kernel.commands.stream().filter("reconfigure 0 demo links 1"::equals)).hasSize(3);
  }

  @Test
  void anotherVolumeIsRefusedOnceAndWithALine() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    answers.add(new Export("demo", (1 << 20) - 512, FLAGS, 512));
    answers.add(new Export("demo", (1 << 20) - 512, FLAGS, 512));
    answers.add(new Export("other", 1 << 20, FLAGS, 512));
    answers.add(new Export("demo", 1 << 20, FLAGS | 2, 512));
    answers.add(new Export("demo", 1 << 20, 0x161, 512));
    answers.add(new Export("demo", 1 << 21, FLAGS, 512));
    for (int i = 0; i < 40; i++) {
      kernel.waits.add(i == 0 ? lose(1) : () -> {});
    }
    runScript(this::stop);
    assertThat(said.subList(1, said.size() - 1))
        .containsExactly(
            "connection lost: /dev/nbd0",
            "a:1 is refused: its volume has 1048064 bytes, fewer than the 1048576 of the device",
            "a:1 is refused: it serves volume \"other\", not \"demo\"",
            "a:1 is refused: its volume is read-only, and the device is not",
            "a:1 is refused: it can do less than the server that the device was attached to",
            "reconnected after 3.1 s: /dev/nbd0 to a:1");
  }

  @Test
  void doesNotGiveUpWhileAnotherConnectionIsLeft() throws AttachException {
    create(2, "a:1");
    attachment.attach();
    for (int i = 0; i < 200; i++) {
      answers.add(refused("a:1"));
      kernel.waits.add(i == 0 ? lose(1) : () -> {});
    }
    long beginNs = nowNs;
    runScript(this::stop);
    assertThat(TimeUnit.NANOSECONDS.toSeconds(nowNs - beginNs)).isGreaterThan(35);
  }

  @Test
  void givesUpAndDetachesAfterTheDeadTimeout() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    for (int i = 0; i < 1000; i++) {
      answers.add(refused("a:1"));
    }
    long beginNs = nowNs;
    AttachException failure = catchThrowableOfType(AttachException.class, () -> runScript(lose(1)));
    assertThat(failure).hasMessage("detached /dev/nbd0: no connection for 30 s");
    assertThat(failure.kind()).isEqualTo(Kind.LOST);
    assertThat(kernel.commands).endsWith("disconnect 0").doesNotContain("flush 0");
    assertThat(TimeUnit.NANOSECONDS.toSeconds(nowNs - beginNs)).isBetween(30L, 33L);
  }

  @Test
  void aStopWhileTheConnectionIsLostDoesNotFlush() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    for (int i = 0; i < 1000; i++) {
      answers.add(refused("a:1"));
    }
    runScript(lose(1), () -> {}, this::stop);
    assertThat(kernel.commands).endsWith("disconnect 0").doesNotContain("flush 0");
    assertThat(said).endsWith("detached /dev/nbd0 while its connection was lost");
  }

  @Test
  void aDeviceInUseStaysAttachedAtAStop() throws AttachException {
    inUse = true;
    create(1, "a:1");
    attachment.attach();
    AttachException failure =
        catchThrowableOfType(AttachException.class, () -> runScript(this::stop));
    assertThat(failure.getMessage()).startsWith("/dev/nbd0 is in use and stays attached");
    assertThat(kernel.commands).doesNotContain("disconnect 0");
    assertThat(catchThrowableOfType(IllegalStateException.class, attachment::stop))
        .hasMessage(failure.getMessage());
  }

  @Test
  void keepLeavesTheDeviceAttached() throws AttachException {
    keep = true;
    create(1, "a:1");
    attachment.attach();
    runScript(this::stop);
    assertThat(kernel.commands).doesNotContain("disconnect 0");
    assertThat(said).endsWith("left attached: /dev/nbd0");
  }

  @Test
  void noticesThatAnotherProgramHasDetachedTheDevice() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    runScript(() -> kernel.attached = false);
    assertThat(said).endsWith("detached /dev/nbd0: another program has asked for it");
    assertThat(kernel.commands).doesNotContain("disconnect 0");
  }

  @Test
  void aConnectionThatEndsWithADetachIsNotDialledAgain() throws AttachException {
    create(1, "a:1");
    attachment.attach();
    dials.clear();
    runScript(() -> {
      kernel.attached = false;
      kernel.lost = 1;
    });
    assertThat(dials).isEmpty();
    assertThat(said).doesNotContain("connection lost: /dev/nbd0");
  }
}
