package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.plinth.target.admin.AdminBindException;
import io.plinth.target.admin.AdminOptions;
import io.plinth.target.admin.AdminServer;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.volume.FlushPolicy;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class ClientCommandsTest {
  private final FakeNode node = new FakeNode();
  private AdminServer server;

  @BeforeEach
  void start() throws AdminBindException {
    server = AdminServer.start(node, AdminOptions.at("127.0.0.1", 0));
    node.add(new VolumeInfo("demo", 1, 1L << 30, 5L << 20, 4, FlushPolicy.FLUSH, 0, 1, 0));
    node.add(new VolumeInfo("a-longer-name", 2, 64L << 40, 512, 0, FlushPolicy.ALWAYS, 11, 3, 2));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  @Test
  void volumesAreListedInAlignedColumns() {
    Run run = run("volume", "list");
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .isEqualTo(
            """
            NAME             SIZE  MAPPED  CLIENTS  POLICY  CORE
            a-longer-name  64 TiB   512 B        0  always  11
            demo            1 GiB   5 MiB        4  flush   0
            """);
  }

  @Test
  void volumesAreListedAsJson() {
    JsonNode volumes = json("volume", "list").get("volumes");
    assertThat(volumes).hasSize(2);
    assertThat(volumes.get(1).get("mappedBytes").longValue()).isEqualTo(5L << 20);
    assertThat(volumes.get(0).get("flushPolicy").stringValue()).isEqualTo("always");
  }

  @Test
  void anEmptyListSaysHowToGoOn() {
    assertThat(run("volume", "delete", "demo", "--force").exitCode()).isZero();
    assertThat(run("volume", "delete", "a-longer-name").exitCode()).isZero();
    assertThat(run("volume", "list").out())
        .isEqualTo("no volumes; create one with 'plinth volume create NAME SIZE'\n");
    assertThat(json("volume", "list").get("volumes")).isEmpty();
    assertThat(run("stats").out()).isEqualTo("no volumes\n");
  }

  @Test
  void aVolumeIsShown() {
    assertThat(run("volume", "show", "demo").out())
        .isEqualTo(
            """
            name           demo
            id             1
            size           1 GiB (1073741824 bytes)
            mapped         5 MiB (5242880 bytes)
            clients        4
            flush policy   flush
            core           0
            epoch          1
            corrupt reads  0
            """);
    assertThat(json("volume", "show", "demo").get("name").stringValue()).isEqualTo("demo");
  }

  @Test
  void aVolumeIsCreated() {
    Run run = run("volume", "create", "new", "1536M", "--flush-policy", "always");
    assertThat(run.out()).isEqualTo("created new, 1.5 GiB\n");
    assertThat(run.exitCode()).isZero();
    assertThat(json("volume", "show", "new").get("flushPolicy").stringValue()).isEqualTo("always");
    assertThat(json("volume", "create", "newer", "4K").get("sizeBytes").intValue()).isEqualTo(4096);
  }

  @Test
  void badValuesAreRefusedBeforeTheServerIsAsked() {
    assertFailure(run("volume", "create", "a/b", "1G"), 2, "plinth: bad volume name \"a/b\": ");
    assertFailure(run("volume", "create", "a", "1X"), 2, "plinth: bad size \"1X\": ");
    assertFailure(run("volume", "create", "a", "100"), 2, "plinth: bad volume size 100: ");
    assertFailure(
        run("volume", "create", "a", "1G", "--flush-policy", "no"),
        2,
        "plinth: bad flush policy \"no\": ");
    assertFailure(
        Run.of("volume", "list", "--admin", "here"),
        2,
        "plinth: option --admin: bad address \"here\": ");
  }

  @Test
  void aRefusalOfTheServerEndsWithOne() {
    assertThat(run("volume", "create", "demo", "1G"))
        .isEqualTo(new Run(1, "", "plinth: volume 'demo' exists already\n"));
    assertThat(run("volume", "show", "none"))
        .isEqualTo(new Run(1, "", "plinth: no volume 'none'\n"));
    assertThat(run("volume", "delete", "demo"))
        .isEqualTo(new Run(1, "", "plinth: volume 'demo' has clients attached\n"));
    assertThat(run("stats", "none")).isEqualTo(new Run(1, "", "plinth: no volume 'none'\n"));
  }

  @Test
  void aStrangeNameCannotReachAnotherRoute() {
    assertFailure(run("volume", "show", "../node"), 1, "plinth: bad volume name \"../node\": ");
    assertFailure(
        run("volume", "delete", "demo?force=true"),
        1,
        "plinth: bad volume name \"demo?force=true\": ");
  }

  @Test
  void aRefusalIsJsonWhenAskedFor() {
    Run run = run("volume", "show", "none", "--json");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.out()).isEmpty();
    JsonNode error = Json.parse(run.err()).get("error");
    assertThat(error.get("code").stringValue()).isEqualTo("not_found");
    assertThat(error.get("message").stringValue()).isEqualTo("no volume 'none'");
  }

  @Test
  void aVolumeIsDeleted() {
    assertThat(run("volume", "delete", "demo", "--force").out()).isEqualTo("deleted demo\n");
    assertThat(json("volume", "delete", "a-longer-name").get("deleted").stringValue())
        .isEqualTo("a-longer-name");
  }

  @Test
  void statisticsAreAlignedAndLeaveOutWhatNeverHappened() {
    assertThat(run("stats").out())
        .isEqualTo(
            """
            a-longer-name: no operations since the server started

            demo
              OPERATION  COUNT  ERRORS   BYTES     P50      P90     P99   P99.9    MAX
              read           4       0  16 KiB  850 ns  12.3 us  1.0 ms  1.5 ms  4.0 s
            """);
    assertThat(run("stats", "demo").out()).startsWith("demo\n  OPERATION");
  }

  @Test
  void statisticsAsJsonLeaveOutNothing() {
    assertThat(json("stats").get("volumes")).hasSize(2);
    JsonNode operations = json("stats", "demo").get("operations");
    assertThat(operations).hasSize(2);
    assertThat(operations.get(0).get("p999Ns").longValue()).isEqualTo(1_500_000);
  }

  @Test
  void theStatusTellsWhereItListens() {
    assertThat(run("status").out())
        .isEqualTo(
            """
            state           running
            version         0.1.0
            node id         7f3a
            data directory  /srv/plinth
            process         4711
            cores           2
            up              1d 02h 03m
            nbd             127.0.0.1:10809
            nbd             unix:/run/plinth.sock
            log             1.5 GiB of 1 TiB
            recovery        clean: nothing to replay
            core 0          stalls over 10 ms: 0, longest cycle 850 us
            core 1          stalls over 10 ms: 2, longest cycle 40123 us
            """);
    JsonNode status = json("status");
    assertThat(status.get("state").stringValue()).isEqualTo("running");
    assertThat(status.at("/dutyCycles/1/stalls").longValue()).isEqualTo(2);
    assertThat(status.at("/dutyCycles/1/longestUs").longValue()).isEqualTo(40_123);
  }

  @Test
  void aServerThatIsNotThereEndsWithThree() throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    assertThat(Run.of("stats", "--admin", "127.0.0.1:" + port))
        .isEqualTo(
            new Run(
                3,
                "",
                "plinth: no server at 127.0.0.1:"
                    + port
                    + " (connection refused); start one with 'plinth serve', or name it with --admin\n"));
    assertFailure(
        Run.of("stats", "--admin", "no-such-host.invalid:1"),
        3,
        "plinth: no server at no-such-host.invalid:1 (no such host)");
  }

  @Test
  void somethingElseThatAnswersEndsWithThree() throws IOException {
    HttpServer other =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    other.createContext(
        "/",
        exchange -> {
          byte[] body = "<html>hello</html>".getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    other.start();
    try {
      String address = "127.0.0.1:" + other.getAddress().getPort();
      assertThat(Run.of("volume", "list", "--admin", address))
          .isEqualTo(
              new Run(
                  3, "", "plinth: what listens at " + address + " is not Plinth's admin API\n"));
    } finally {
      other.stop(0);
    }
  }

  private Run run(String... args) {
    String[] all = Arrays.copyOf(args, args.length + 2);
    all[args.length] = "--admin";
    all[args.length + 1] = server.address();
    return Run.of(all);
  }

  /** Runs a command with {@code --json}, which must succeed, and reads what it wrote. */
  private JsonNode json(String... args) {
    String[] all = Arrays.copyOf(args, args.length + 1);
    all[args.length] = "--json";
    Run run = run(all);
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    return Json.parse(run.out());
  }

  private static void assertFailure(Run run, int exitCode, String errStart) {
    assertThat(run.err()).startsWith(errStart);
    assertThat(run.err().lines()).hasSize(1);
    assertThat(run.out()).isEmpty();
    assertThat(run.exitCode()).isEqualTo(exitCode);
  }
}
