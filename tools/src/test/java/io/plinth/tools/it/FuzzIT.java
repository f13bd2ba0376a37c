package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Clients that say nearly the right thing cost nobody but themselves. */
@Timeout(900)
class FuzzIT {
  private static final int SECONDS = Integer.getInteger("plinth.fuzz.seconds", 20);

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void nobodyElseIsHarmed() throws Exception {
    PlinthProcess server =
        servers.serve(
            directory.resolve("data"),
            "--tls-certificates",
            new TlsKeys(directory.resolve("keys")).certificates("server").toString(),
            "--volume",
            "scratch=64M",
            "--volume",
            "demo=64M");
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "write -P 0x5a 0 1M", server.uri("demo"));
    Shell.Result result = fuzz(server, "demo");
    assertThat(result.output()).endsWith("nobody harmed");
    assertThat(result.exitCode()).isZero();
    System.out.println("FuzzIT: " + result.output().lines().toList().getLast());

    // Nothing is left of all those clients, and no line of the log is a stack trace.
    awaitNoConnections(server);
    assertThat(server.log()).doesNotContain("Exception").doesNotContain("\tat ");
    Shell.ok(20, "qemu-io", "-r", "-f", "raw", "-c", "read -P 0x5a 0 1M", server.uri("demo"));
    assertThat(server.terminate()).isZero();
  }

  @Test
  void harmIsSeen() throws Exception {
    PlinthProcess server = servers.serve(directory.resolve("data"), "--volume", "scratch=1M");
    // What is overwritten is taken for somebody else's.
    Shell.Result result = fuzz(server, "scratch");
    assertThat(result.output())
        .contains(": the content of scratch has changed")
        .contains("again: plinth fuzz nbd --uri '" + server.uri("scratch") + "' --seed ");
    assertThat(result.exitCode()).isEqualTo(1);
  }

  private static Shell.Result fuzz(PlinthProcess server, String other) throws Exception {
    return Shell.run(
        60 + SECONDS,
        "env",
        "PLINTH_NO_BUILD=1",
        PlinthProcess.root().resolve("scripts/plinth").toString(),
        "fuzz",
        "nbd",
        "--uri",
        server.uri("scratch"),
        "--other",
        other,
        "--seed",
        Long.toString(Long.getLong("plinth.fuzz.seed", 1)),
        "--seconds",
        Integer.toString(SECONDS));
  }

  /** The last ones may be on their way out. */
  private static void awaitNoConnections(PlinthProcess server) throws Exception {
    long endNs = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    int connections;
    do {
      connections = server.volume("scratch").get("connections").intValue();
    } while (connections > 0 && System.nanoTime() - endNs < 0);
    assertThat(connections).as("connections").isZero();
  }
}
