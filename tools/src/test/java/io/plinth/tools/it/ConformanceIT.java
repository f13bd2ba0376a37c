package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The server keeps every rule of the protocol; the tables stay in the build's folder. */
@Timeout(180)
class ConformanceIT {
  @RegisterExtension static final Servers SERVERS = Servers.ofClass();

  @TempDir Path directory;

  @Test
  void noRuleIsBrokenOverTcpOrTls() throws Exception {
    PlinthProcess server = serveWithRot(directory.resolve("tcp"));
    TlsKeys keys = new TlsKeys(directory.resolve("keys"));
    PlinthProcess forced = serveTls(keys, "forced", "required");
    PlinthProcess selective = serveTls(keys, "selective", "allowed");
    selective.cli("volume", "create", "secret", "64M", "--tls", "required");
    List<String> more =
        List.of(
            "--failing-uri",
            server.uri("rotten"),
            "--forced-tls-uri",
            keys.uri(forced, "scratch", "good"),
            "--selective-tls-uri",
            keys.uri(selective, "scratch", "good"),
            "--tls-export",
            "secret");
    String uri = server.uri("scratch");
    System.out.print(plinth(uri, "conformance-nbd.md", more));
    List<String> last = new ArrayList<>(more);
    last.addAll(List.of("--stop-command", "kill " + server.pid(), "--json"));
    String json = plinth(uri, "conformance-nbd.json", last);
    JsonNode document = JsonMapper.shared().readTree(json);
    assertThat(document.get("summary").get("fail").intValue()).isZero();
    List<String> skipped = new ArrayList<>();
    for (JsonNode check : document.get("checks")) {
      if (!check.get("result").stringValue().equals("pass")) {
        skipped.add(check.get("id").stringValue());
      }
    }
    assertThat(skipped).as("rules that were not tried").containsExactly("Z1");
    assertThat(server.awaitExit()).isZero();
  }

  @Test
  void noRuleIsBrokenOverTlsWithAPreSharedKey() throws Exception {
    TlsKeys keys = new TlsKeys(directory.resolve("psk-keys"));
    PlinthProcess server =
        SERVERS.serve(
            directory.resolve("psk"),
            "--volume",
            "scratch=64M",
            "--tls",
            "required",
            "--tls-psk",
            keys.pskFile("alice").toString());
    String uri = keys.pskUri(server, "scratch", "alice", "alice");
    JsonNode document =
        JsonMapper.shared().readTree(plinth(uri, "conformance-nbd-psk.json", List.of("--json")));
    List<String> notPassed = new ArrayList<>();
    for (JsonNode check : document.get("checks")) {
      if (!check.get("result").stringValue().equals("pass")) {
        notPassed.add(check.get("id").stringValue());
      }
    }
    // Another mode of TLS, or something that was not given.
    assertThat(notPassed).containsExactlyInAnyOrder("T1", "T3", "R5", "R6", "E5", "Z1");
    String wrong = keys.pskUri(server, "scratch", "alice", "wrong");
    Shell.Result refused =
        Shell.run(
            60,
            "env",
            "PLINTH_NO_BUILD=1",
            PlinthProcess.root().resolve("scripts/plinth").toString(),
            "conformance",
            "nbd",
            "--uri",
            wrong);
    assertThat(refused.exitCode()).as(refused.output()).isEqualTo(3);
    assertThat(refused.output().lines().toList()).hasSize(1);
    assertThat(refused.output()).contains("TLS");
  }

  private PlinthProcess serveTls(TlsKeys keys, String name, String mode) throws Exception {
    return SERVERS.serve(
        directory.resolve(name),
        "--volume",
        "scratch=64M",
        "--tls",
        mode,
        "--tls-certificates",
        keys.certificates("server").toString());
  }

  /** Serves one volume that is whole, and one whose first block has rotted on the disk. */
  private static PlinthProcess serveWithRot(Path data) throws Exception {
    String[] volumes = {"--volume", "scratch=64M", "--volume", "rotten=64M"};
    byte[] block = new byte[4096];
    new SplittableRandom(11).nextBytes(block);
    PlinthProcess first = SERVERS.serve(data, volumes);
    try (NbdClient client = NbdClient.connect(first.nbd(), "rotten")) {
      assertThat(client.write(0, block)).isZero();
    }
    assertThat(first.terminate()).isZero();
    long _ = Rot.flip(data, block);
    return SERVERS.serve(data, volumes);
  }

  @Test
  void noRuleIsBrokenOverAUnixSocket() throws Exception {
    Path socket = directory.resolve("nbd.sock");
    PlinthProcess _ =
        SERVERS.serve(
            directory.resolve("unix"), "--volume", "scratch=64M", "--nbd-unix", socket.toString());
    String table =
        plinth("nbd+unix:///scratch?socket=" + socket, "conformance-nbd-unix.md", List.of());
    assertThat(table).contains(" 0 fail, ");
  }

  @Test
  void noRuleIsBrokenByASnapshot() throws Exception {
    PlinthProcess server = SERVERS.serve(directory.resolve("snapshot"), "--volume", "scratch=64M");
    server.cli("volume", "snapshot", "create", "scratch", "monday");
    String table = plinth(server.uri("scratch@monday"), "conformance-nbd-snapshot.md", List.of());
    assertThat(table).contains(" 0 fail, ").contains("a change of a read-only export");
  }

  /** Runs the checks, none of which may fail. */
  private static String plinth(String uri, String file, List<String> more) throws Exception {
    Path root = PlinthProcess.root();
    List<String> command =
        new ArrayList<>(
            List.of("env", "PLINTH_NO_BUILD=1", root.resolve("scripts/plinth").toString()));
    command.addAll(List.of("conformance", "nbd", "--uri", uri, "--write", "--output"));
    command.add(root.resolve("tools/target").resolve(file).toString());
    command.addAll(more);
    Shell.Result result = Shell.run(60, command);
    assertThat(result.exitCode()).as(result.output()).isZero();
    return result.output();
  }
}
