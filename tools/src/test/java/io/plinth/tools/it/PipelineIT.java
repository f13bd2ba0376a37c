package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a tester that sends much at a time looks at: is every byte of every answer right, also at
 * the limits, and does one request that is refused leave its neighbours alone?
 */
@Timeout(180)
class PipelineIT {
  private static final int UNIT = 512;
  private static final int MOST_BYTES = 32 << 20;
  private static final int EPERM = 1;
  private static final int EINVAL = Nbd.EINVAL;
  private static final int ENOSPC = Nbd.ENOSPC;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  /** A request that has not been answered. */
  private record Pending(int command, long offset, int length) {
    boolean overlaps(long from, int count) {
      return offset < from + count && from < offset + length;
    }

    boolean reads() {
      return command == Nbd.READ;
    }
  }

  /**
   * A connection on which many requests are on their way, none of which touches what another one
   * changes. A model holds what must be read; replies are taken by a thread of their own, since a
   * server need not read on from who does not.
   */
  private static final class Pipeline implements AutoCloseable {
    private static final int MOST_PENDING = 64;

    private final NbdClient client;
    private final byte[] model;
    private final Map<Long, Pending> pending = new HashMap<>();
    private final Map<Long, Integer> errors = new HashMap<>();
    private final CompletableFuture<Void> reader = new CompletableFuture<>();
    private long nextCookie = 1;
    private long left;
    private boolean over;

    Pipeline(NbdClient client, byte[] model) {
      this.client = client;
      this.model = model;
      Thread _ = Thread.ofPlatform().daemon().start(this::takeReplies);
    }

    /** Sends a request once it may be sent; returns its cookie. */
    long send(int command, int flags, long offset, int length, byte[] data) throws Exception {
      long cookie;
      synchronized (this) {
        while (!reader.isDone() && !mayBeSent(command, offset, length)) {
          wait(1000);
        }
        failIfTheReaderDid();
        cookie = nextCookie++;
        pending.put(cookie, new Pending(command, offset, length));
        boolean within =
            flags <= Nbd.FUA && offset + length <= model.length && length <= MOST_BYTES;
        if (command == Nbd.WRITE && within) {
          System.arraycopy(data, 0, model, (int) offset, length);
        } else if (command == Nbd.WRITE_ZEROES && within) {
          Arrays.fill(model, (int) offset, (int) offset + length, (byte) 0);
        }
        notifyAll();
      }
      if (command == Nbd.WRITE) {
        client.sendWrite(flags, cookie, offset, data, length);
      } else {
        client.send(command, flags, cookie, offset, length);
      }
      client.flushOutput();
      return cookie;
    }

    private boolean mayBeSent(int command, long offset, int length) {
      boolean reads = command == Nbd.READ;
      return pending.size() < MOST_PENDING
          && pending.values().stream()
              .noneMatch(other -> !(reads && other.reads()) && other.overlaps(offset, length));
    }

    private void takeReplies() {
      try {
        while (awaitWork()) {
          NbdClient.Reply reply = client.readReply();
          Pending request;
          synchronized (this) {
            request = pending.get(reply.cookie());
          }
          assertThat(request).as("cookie %d", reply.cookie()).isNotNull();
          if (request.reads() && reply.error() == 0) {
            check(request);
          }
          synchronized (this) {
            pending.remove(reply.cookie());
            errors.put(reply.cookie(), reply.error());
            left++;
            notifyAll();
          }
        }
        reader.complete(null);
      } catch (IOException | InterruptedException | AssertionError e) {
        reader.completeExceptionally(e);
      }
    }

    private synchronized boolean awaitWork() throws InterruptedException {
      while (pending.isEmpty() && !over) {
        wait(1000);
      }
      return !pending.isEmpty();
    }

    private void check(Pending request) throws IOException {
      byte[] data = new byte[request.length()];
      client.readData(data, data.length);
      int from = (int) request.offset();
      int at = Arrays.mismatch(model, from, from + data.length, data, 0, data.length);
      assertThat(at).as("first wrong byte of %s", request).isEqualTo(-1);
    }

    /** Waits for all replies; returns the error of each request by its cookie. */
    Map<Long, Integer> finish() throws Exception {
      synchronized (this) {
        over = true;
        notifyAll();
      }
      reader.get(60, TimeUnit.SECONDS);
      assertThat(left).isEqualTo(nextCookie - 1);
      return errors;
    }

    private void failIfTheReaderDid() throws Exception {
      if (reader.isCompletedExceptionally()) {
        reader.get();
      }
    }

    @Override
    public void close() throws IOException {
      client.close();
    }
  }

  private PlinthProcess serve() throws Exception {
    return servers.serve(directory.resolve("data"), "--volume", "demo=128M");
  }

  @Test
  void everyByteIsRightWithManyRequestsOnTheirWayAndAfterAKill() throws Exception {
    byte[] model = new byte[8 << 20];
    SplittableRandom random = new SplittableRandom(20261128);
    PlinthProcess server = serve();
    try (Pipeline pipeline = new Pipeline(NbdClient.connect(server.nbd(), "demo"), model)) {
      for (int i = 0; i < 8000; i++) {
        int length = UNIT * random.nextInt(1, random.nextInt(1, 129) + 1);
        long offset = (long) UNIT * random.nextInt((model.length - length) / UNIT + 1);
        int flags = random.nextInt(8) == 0 ? Nbd.FUA : 0;
        switch (random.nextInt(10)) {
          case 0, 1, 2, 3 -> {
            byte[] data = new byte[length];
            random.nextBytes(data);
            pipeline.send(Nbd.WRITE, flags, offset, length, data);
          }
          case 4 -> pipeline.send(Nbd.WRITE_ZEROES, flags, offset, length, null);
          case 5 -> pipeline.send(Nbd.FLUSH, 0, 0, 0, null);
          default -> pipeline.send(Nbd.READ, flags, offset, length, null);
        }
      }
      assertThat(pipeline.finish().values()).hasSize(8000).containsOnly(0);
    }
    server.kill();
    byte[] found = new byte[model.length];
    try (NbdClient client = NbdClient.connect(serve().nbd(), "demo")) {
      assertThat(client.read(0, found, found.length)).isZero();
    }
    assertThat(Arrays.mismatch(model, found)).isEqualTo(-1);
  }

  @Test
  void aByteThatIsWrongIsSeen() throws Exception {
    try (Meddler meddler = new Meddler(serve().nbd(), MeddlerFault.WRITES_LOST);
        Pipeline pipeline =
            new Pipeline(NbdClient.connect(meddler.address(), "demo"), new byte[1 << 20])) {
      byte[] data = new byte[2 * UNIT];
      data[data.length - 1] = 1;
      pipeline.send(Nbd.WRITE, 0, UNIT, data.length, data);
      pipeline.send(Nbd.READ, 0, 0, 8 * UNIT, null);
      assertThatThrownBy(pipeline::finish)
          .hasRootCauseInstanceOf(AssertionError.class)
          .rootCause()
          .hasMessageContaining("first wrong byte of");
    }
  }

  @Test
  void requestsUpToTheMaximumAreWholeAlsoSideBySide() throws Exception {
    byte[] model = new byte[128 << 20];
    byte[] data = new byte[MOST_BYTES];
    SplittableRandom random = new SplittableRandom(7);
    random.nextBytes(data);
    try (Pipeline pipeline = new Pipeline(NbdClient.connect(serve().nbd(), "demo"), model)) {
      // Not on a block's boundary, and up to the last byte.
      long[] offsets = {UNIT, 2L * MOST_BYTES + UNIT, 3L * MOST_BYTES};
      int[] lengths = {MOST_BYTES, MOST_BYTES - UNIT, MOST_BYTES};
      for (int i = 0; i < offsets.length; i++) {
        pipeline.send(Nbd.WRITE, Nbd.FUA, offsets[i], lengths[i], data);
        pipeline.send(Nbd.READ, 0, offsets[i], lengths[i], null);
      }
      pipeline.send(Nbd.READ, 0, 0, MOST_BYTES, null);
      pipeline.send(Nbd.READ, 0, MOST_BYTES / 2, MOST_BYTES, null);
      pipeline.send(Nbd.READ, 0, 2L * MOST_BYTES - UNIT, MOST_BYTES, null);
      assertThat(pipeline.finish().values()).hasSize(9).containsOnly(0);
    }
  }

  @Test
  void whatIsTooLongOrWrongIsRefusedAndItsNeighboursAreServed() throws Exception {
    byte[] model = new byte[64 << 20];
    byte[] data = new byte[MOST_BYTES + UNIT];
    new SplittableRandom(3).nextBytes(data);
    Map<Long, Integer> expected = new HashMap<>();
    Map<Long, Integer> errors;
    try (Pipeline pipeline = new Pipeline(NbdClient.connect(serve().nbd(), "demo"), model)) {
      for (int i = 0; i < 4; i++) {
        long near = (long) i * UNIT;
        expected.put(pipeline.send(Nbd.WRITE, 0, near, UNIT, data), 0);
        expected.put(pipeline.send(Nbd.READ, 0, 0, MOST_BYTES + UNIT, null), EINVAL);
        expected.put(pipeline.send(Nbd.READ, 0, near, UNIT, null), 0);
        expected.put(pipeline.send(Nbd.WRITE, 1 << 15, near, 999 * UNIT, data), EINVAL);
        expected.put(pipeline.send(Nbd.READ, 0, near, UNIT, null), 0);
        expected.put(pipeline.send(4711, 0, 0, UNIT, null), EINVAL);
        expected.put(pipeline.send(Nbd.READ, 1 << 15, 0, UNIT, null), EINVAL);
        expected.put(pipeline.send(Nbd.READ, 0, 1, UNIT, null), EINVAL);
        expected.put(pipeline.send(Nbd.WRITE, 0, 128 << 20, UNIT, data), ENOSPC);
        expected.put(pipeline.send(Nbd.READ, 0, 0, UNIT * 8, null), 0);
      }
      errors = pipeline.finish();
    }
    assertThat(errors).isEqualTo(expected);
  }

  @Test
  void manyOptionsOfAllKindsInOneNegotiationAndThenRequests() throws Exception {
    SplittableRandom random = new SplittableRandom(5);
    try (NbdClient client = NbdClient.connectForOptions(serve().nbd())) {
      for (int i = 0; i < 500; i++) {
        // LIST, INFO of what is there and is not, withdrawn and unknown ones, each with its answer.
        int option = List.of(3, 6, 6, 4, 12, 4711, -1).get(random.nextInt(7));
        boolean known = random.nextBoolean();
        byte[] data = option == 6 ? info(known ? "demo" : "nobody") : new byte[0];
        int last = option == 3 ? 1 : option != 6 ? 0x80000001 : known ? 1 : 0x80000006;
        client.sendOption(option, data.length, data);
        List<Integer> types = new ArrayList<>();
        do {
          types.add(client.readOptionReply().type());
        } while (types.getLast() > 1);
        assertThat(types.getLast()).as("option %d", option).isEqualTo(last);
      }
      byte[] go = info("demo");
      client.sendOption(Nbd.OPT_GO, go.length, go);
      while (client.readOptionReply().type() != Nbd.REP_ACK) {
        // Informations.
      }
      assertThat(client.read(0, new byte[UNIT], UNIT)).isZero();
    }
  }

  private static byte[] info(String export) {
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(name.length + 6)
        .putInt(name.length)
        .put(name)
        .putShort((short) 0)
        .array();
  }

  @Test
  void aReadOnlyExportRefusesAllChangesWhileItIsRead() throws Exception {
    byte[] model = new byte[1 << 20];
    new SplittableRandom(9).nextBytes(model);
    PlinthProcess server = serve();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      assertThat(client.write(0, model)).isZero();
    }
    server.cli("volume", "snapshot", "create", "demo", "monday");
    Map<Long, Integer> expected = new HashMap<>();
    Map<Long, Integer> errors;
    byte[] kept = model.clone();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo@monday");
        Pipeline pipeline = new Pipeline(client, model)) {
      for (int i = 0; i < 200; i++) {
        int offset = i * 8 * UNIT % model.length;
        for (int flags = 0; flags <= Nbd.FUA; flags++) {
          expected.put(refused(pipeline, Nbd.WRITE, flags, offset, kept), EPERM);
          expected.put(refused(pipeline, Nbd.WRITE_ZEROES, flags, offset, kept), EPERM);
          expected.put(refused(pipeline, Nbd.TRIM, flags, offset, kept), EPERM);
        }
        expected.put(pipeline.send(Nbd.READ, 0, offset, UNIT, null), 0);
      }
      errors = pipeline.finish();
    }
    assertThat(errors).isEqualTo(expected);
  }

  /** Sends a change that must not be made; the model stays as it was. */
  private static long refused(Pipeline pipeline, int command, int flags, int offset, byte[] kept)
      throws Exception {
    long cookie = pipeline.send(command, flags, offset, UNIT, new byte[UNIT]);
    System.arraycopy(kept, offset, pipeline.model, offset, UNIT);
    return cookie;
  }
}
