package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** RESIZE by a client, on a server that allows it and on one that does not. */
class ResizeIT {
  private static final int MIB = 1 << 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private PlinthProcess serve(String... arguments) throws Exception {
    return servers.serve(directory.resolve("data"), arguments);
  }

  private PlinthProcess serveResizable() throws Exception {
    Path file = directory.resolve("plinth.toml");
    Files.writeString(
        file, "cores = 2\n[nbd]\nresize = true\n[[volume]]\nname = \"demo\"\nsize = \"64M\"\n");
    return serve("--config", file.toString());
  }

  @Test
  void aClientChangesTheSizeAndAKillTakesNothingBack() throws Exception {
    PlinthProcess server = serveResizable();
    server.cli("volume", "snapshot", "create", "demo", "s1");
    byte[] data = new byte[4096];
    data[7] = 42;
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo");
        NbdClient other = NbdClient.connect(server.nbd(), "demo")) {
      assertThat(client.write(100L * MIB, data)).isEqualTo(Nbd.ENOSPC);
      assertThat(client.call(Nbd.RESIZE, 128L * MIB, 0)).isZero();
      assertThat(client.write(100L * MIB, data)).isZero();
      assertThat(other.write(100L * MIB, data)).as("it has not asked").isEqualTo(Nbd.ENOSPC);
      assertThat(client.call(Nbd.RESIZE, 64L * MIB, 0)).as("data beyond").isEqualTo(Nbd.EPERM);
      assertThat(client.call(Nbd.RESIZE, 128L * MIB + 1, 0)).isEqualTo(Nbd.EINVAL);
      assertThat(client.call(Nbd.RESIZE, 128L * MIB, 512)).isEqualTo(Nbd.EINVAL);
      assertThat(client.call(Nbd.RESIZE, 65L << 40, 0)).isEqualTo(Nbd.ENOSPC);
      assertThat(client.call(Nbd.RESIZE, 101L * MIB, 0)).as("nothing is cut off").isZero();
    }
    try (NbdClient snapshot = NbdClient.connect(server.nbd(), "demo@s1")) {
      assertThat(snapshot.call(Nbd.RESIZE, 128L * MIB, 0)).isEqualTo(Nbd.EPERM);
    }
    server.kill();
    PlinthProcess again = serve();
    assertThat(Shell.ok(20, "nbdinfo", "--size", again.uri("demo")))
        .isEqualTo(Long.toString(101L * MIB));
    try (NbdClient client = NbdClient.connect(again.nbd(), "demo")) {
      byte[] found = new byte[4096];
      assertThat(client.read(100L * MIB, found, found.length)).isZero();
      Bytes.assertSame("at 100 MiB", found, data);
      assertThat(client.call(Nbd.RESIZE, 128L * MIB, 0)).as("off").isEqualTo(Nbd.EINVAL);
    }
  }

  @Test
  void theConformanceRunnerJudgesItWhereItIsOffered() throws Exception {
    PlinthProcess server = serveResizable();
    server.cli("volume", "snapshot", "create", "demo", "s1");
    assertThat(conformance(server, "demo")).contains("| Z1 |", "| pass |", "growth and back");
    assertThat(conformance(server, "demo@s1")).contains("| pass |", "RESIZE of a read-only export");
    assertThat(server.terminate()).isZero();
    assertThat(conformance(serve(), "demo")).contains("| skip |", "SEND_RESIZE is not set");
  }

  private static String conformance(PlinthProcess server, String export) throws Exception {
    Shell.Result result =
        Shell.run(
            60,
            "env",
            "PLINTH_NO_BUILD=1",
            PlinthProcess.root().resolve("scripts/plinth").toString(),
            "conformance",
            "nbd",
            "--uri",
            server.uri(export),
            "--write",
            "--only",
            "Z1");
    assertThat(result.exitCode()).as(result.output()).isZero();
    return result.output();
  }
}
