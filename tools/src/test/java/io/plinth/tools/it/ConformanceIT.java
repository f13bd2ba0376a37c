package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
  void noRuleIsBrokenOverTcp() throws Exception {
    PlinthProcess server = SERVERS.serve(directory.resolve("tcp"), "--volume", "scratch=64M");
    String uri = server.uri("scratch");
    String table = plinth(uri, "conformance-nbd.md");
    System.out.print(table);
    String json = plinth(uri, "conformance-nbd.json", "--json");
    JsonNode document = JsonMapper.shared().readTree(json);
    assertThat(document.get("summary").get("fail").intValue()).isZero();
    assertThat(document.get("summary").get("pass").intValue()).isGreaterThanOrEqualTo(38);
  }

  @Test
  void noRuleIsBrokenOverAUnixSocket() throws Exception {
    Path socket = directory.resolve("nbd.sock");
    PlinthProcess _ =
        SERVERS.serve(
            directory.resolve("unix"), "--volume", "scratch=64M", "--nbd-unix", socket.toString());
    String table = plinth("nbd+unix:///scratch?socket=" + socket, "conformance-nbd-unix.md");
    assertThat(table).contains(" 0 fail, ");
  }

  /** Runs the checks, none of which may fail. */
  private static String plinth(String uri, String file, String... more) throws Exception {
    Path root = PlinthProcess.root();
    List<String> command =
        new ArrayList<>(
            List.of("env", "PLINTH_NO_BUILD=1", root.resolve("scripts/plinth").toString()));
    command.addAll(List.of("conformance", "nbd", "--uri", uri, "--write", "--output"));
    command.add(root.resolve("tools/target").resolve(file).toString());
    command.addAll(List.of(more));
    Shell.Result result = Shell.run(60, command);
    assertThat(result.exitCode()).as(result.output()).isZero();
    return result.output();
  }
}
