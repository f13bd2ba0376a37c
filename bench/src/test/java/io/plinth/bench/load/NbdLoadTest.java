package io.plinth.bench.load;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The generator against a slow and simple server: what it sends and how it counts. */
class NbdLoadTest {
  private static final int EXPORT_BYTES = 1 << 20;

  /** Serves an export without content and counts. */
  private static final class CountingServer implements AutoCloseable {
    private final ServerSocket socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    final AtomicLong reads = new AtomicLong();
    final AtomicLong writes = new AtomicLong();
    final AtomicLong disconnects = new AtomicLong();
    final Map<Long, Boolean> offsets = new ConcurrentHashMap<>();
    final int error;
    private final List<Thread> sessions = new CopyOnWriteArrayList<>();

    CountingServer(int error) throws IOException {
      this.error = error;
      Thread thread = new Thread(this::accept, "counting-server");
      thread.setDaemon(true);
      thread.start();
    }

    String address() {
      return "127.0.0.1:" + socket.getLocalPort();
    }

    /** Waits until every session has seen the end of its client. */
    void awaitSessions() throws InterruptedException {
      for (Thread session : sessions) {
        session.join();
      }
    }

    private void accept() {
      try {
        while (true) {
          Socket client = socket.accept();
          Thread thread = new Thread(() -> serve(client), "counting-session");
          thread.setDaemon(true);
          sessions.add(thread);
          thread.start();
        }
      } catch (IOException e) {
        assertThat(socket.isClosed()).isTrue();
      }
    }

    private void serve(Socket client) {
      try (client) {
        DataInputStream in = new DataInputStream(client.getInputStream());
        DataOutputStream out = new DataOutputStream(client.getOutputStream());
        negotiate(in, out);
        while (request(in, out)) {}
      } catch (EOFException e) {
        // The client went away without DISC, which the count shows.
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private static void negotiate(DataInputStream in, DataOutputStream out) throws IOException {
      out.writeLong(0x4e42444d41474943L);
      out.writeLong(0x49484156454f5054L);
      out.writeShort(3);
      assertThat(in.readInt()).isEqualTo(3);
      assertThat(in.readLong()).isEqualTo(0x49484156454f5054L);
      assertThat(in.readInt()).as("GO").isEqualTo(7);
      in.skipNBytes(in.readInt());
      out.writeLong(0x0003e889045565a9L);
      out.writeLong(7L << 32 | 3);
      out.writeInt(12);
      out.writeShort(0);
      out.writeLong(EXPORT_BYTES);
      out.writeShort(1 | 1 << 3);
      out.writeLong(0x0003e889045565a9L);
      out.writeLong(7L << 32 | 1);
      out.writeInt(0);
    }

    private boolean request(DataInputStream in, DataOutputStream out) throws IOException {
      assertThat(in.readInt()).isEqualTo(0x25609513);
      int flagsAndCommand = in.readInt();
      long cookie = in.readLong();
      long offset = in.readLong();
      int length = in.readInt();
      int command = flagsAndCommand & 0xffff;
      if (command == 2) {
        disconnects.incrementAndGet();
        return false;
      }
      offsets.put(offset, true);
      (command == 0 ? reads : writes).incrementAndGet();
      if (command == 1) {
        in.skipNBytes(length);
      }
      ByteArrayOutputStream reply = new ByteArrayOutputStream();
      DataOutputStream fields = new DataOutputStream(reply);
      fields.writeInt(0x67446698);
      fields.writeInt(error);
      fields.writeLong(cookie);
      fields.write(new byte[command == 0 && error == 0 ? length : 0]);
      out.write(reply.toByteArray());
      return true;
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  private record Outcome(int code, String out, String err) {}

  private static Outcome load(String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code =
        NbdLoad.run(
            new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8), arguments);
    return new Outcome(code, out.toString(UTF_8), err.toString(UTF_8));
  }

  private static Map<String, Double> numbers(String json) {
    Map<String, Double> numbers = new TreeMap<>();
    Matcher matcher = Pattern.compile("\"(\\w+)\":([0-9.]+)").matcher(json);
    while (matcher.find()) {
      numbers.put(matcher.group(1), Double.valueOf(matcher.group(2)));
    }
    return numbers;
  }

  private static Outcome briefly(CountingServer server, String... more) {
    String[] base = {
      "--uri", server.address(), "--seconds", "0.3", "--warmup-seconds", "0.1", "--json"
    };
    String[] all = Arrays.copyOf(base, base.length + more.length);
    System.arraycopy(more, 0, all, base.length, more.length);
    return load(all);
  }

  @Test
  void everyOperationKeepsItsFramesAndSaysGoodbye() throws IOException, InterruptedException {
    for (String operation : new String[] {"read", "write", "randrw"}) {
      for (String blockSize : new String[] {"512", "64K"}) {
        try (CountingServer server = new CountingServer(0)) {
          Outcome outcome =
              briefly(
                  server,
                  "--op",
                  operation,
                  "--block-size",
                  blockSize,
                  "--queue-depth",
                  "7",
                  "--connections",
                  "2");
          assertThat(outcome.err()).isEmpty();
          assertThat(outcome.code()).isZero();
          Map<String, Double> numbers = numbers(outcome.out());
          double served = server.reads.get() + server.writes.get();
          assertThat(numbers.get("operations")).isPositive().isLessThanOrEqualTo(served);
          assertThat(numbers.get("p50_us")).isPositive();
          assertThat(numbers.get("max_us")).isGreaterThanOrEqualTo(numbers.get("p99_us"));
          assertThat(server.reads.get() > 0).isEqualTo(!operation.equals("write"));
          assertThat(server.writes.get() > 0).isEqualTo(!operation.equals("read"));
          server.awaitSessions();
          assertThat(server.disconnects.get()).isEqualTo(2);
        }
      }
    }
  }

  @Test
  void offsetsStayInTheRangeAndOnBlocks() throws IOException {
    try (CountingServer server = new CountingServer(0)) {
      assertThat(briefly(server, "--range", "40000").code()).isZero();
      assertThat(server.offsets.keySet())
          .allMatch(offset -> offset % 4096 == 0 && offset >= 0 && offset + 4096 <= 40000);
      assertThat(server.offsets.size()).isGreaterThan(5);
    }
  }

  @Test
  void errorsAreCountedAndShowInTheExitCode() throws IOException {
    try (CountingServer server = new CountingServer(5)) {
      Outcome outcome = briefly(server);
      assertThat(outcome.code()).isEqualTo(1);
      assertThat(numbers(outcome.out()).get("errors")).isPositive();
    }
  }

  @Test
  void cpuOfTheServerIsMeasured() throws IOException {
    try (CountingServer server = new CountingServer(0)) {
      String self = Long.toString(ProcessHandle.current().pid());
      Outcome outcome = briefly(server, "--server-pid", self, "--seconds", "1");
      assertThat(numbers(outcome.out()).get("server_cpu_us_per_op")).isPositive();
    }
  }

  @Test
  void serverThatIsNotThereIsOneLine() {
    Outcome outcome = load("--uri", "unix:/nonexistent/socket");
    assertThat(outcome.code()).isEqualTo(2);
    assertThat(outcome.err().lines()).hasSize(1);
  }

  @Test
  void mistakesShowTheUsage() {
    Outcome outcome = load("--op", "read");
    assertThat(outcome.code()).isEqualTo(2);
    assertThat(outcome.err()).startsWith("NbdLoad: --uri is missing\nusage:");
  }

  @Test
  void commandNamesMayContainWhatTheyLike() {
    String stat = "4711 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20 0 9 0 12345";
    assertThat(ProcessCpu.micros(stat)).isEqualTo(1_680_000);
  }
}
