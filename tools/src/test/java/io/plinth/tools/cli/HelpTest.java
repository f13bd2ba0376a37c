package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.main.Version;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class HelpTest {
  static List<String> commands() {
    CommandLine root =
        PlinthCommand.commandLine(
            new PrintWriter(new StringWriter()),
            new PrintWriter(new StringWriter()),
            Map.of(),
            config -> null);
    List<String> names = new ArrayList<>();
    collect(root, "", names);
    return names;
  }

  private static void collect(CommandLine command, String path, List<String> names) {
    names.add(path.strip());
    command.getSubcommands().forEach((name, sub) -> collect(sub, path + " " + name, names));
  }

  @Test
  void theseAreTheCommands() {
    assertThat(commands())
        .containsExactly(
            "",
            "serve",
            "volume",
            "volume create",
            "volume clone",
            "volume restore-at",
            "volume list",
            "volume show",
            "volume set",
            "volume resize",
            "volume snapshot",
            "volume snapshot create",
            "volume snapshot list",
            "volume snapshot delete",
            "volume diff",
            "volume verify",
            "volume rollback",
            "volume move-leader",
            "volume delete",
            "scrub",
            "scrub start",
            "scrub status",
            "scrub stop",
            "cluster",
            "cluster init",
            "cluster join",
            "cluster status",
            "node",
            "node list",
            "node show",
            "node drain",
            "node undrain",
            "node replace",
            "node remove",
            "stats",
            "status",
            "inspect",
            "conformance",
            "conformance nbd",
            "fuzz",
            "fuzz nbd",
            "attach",
            "detach",
            "attachments",
            "version");
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyHelpHasExamplesAndTheExitCodes(String command) {
    List<String> args =
        new ArrayList<>(command.isEmpty() ? List.of() : List.of(command.split(" ")));
    args.add("--help");
    Run run = Run.of(args.toArray(new String[0]));
    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .startsWith("Usage: plinth")
        .contains("\nExamples:\n")
        .contains(
            """

            Exit codes:
              0   done
              1   the operation failed
              2   bad usage or configuration, or the server refuses to start
              3   the server cannot be reached
            """);
    assertThat(run.out().lines())
        .allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(100));
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandThatDoesSomethingCanWriteJson(String command) {
    if (List.of("", "volume", "volume snapshot", "scrub", "cluster", "node", "conformance", "fuzz")
        .contains(command)) {
      // These only lead to others.
      return;
    }
    assertThat(Run.of((command + " --help").split(" ")).out()).contains("      --json ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "serv",
        "serve --volum a=1G",
        "serve extra",
        "serve --cores two",
        "volume",
        "volume create",
        "volume create a",
        "volume create a 1G extra",
        "volume shows a",
        "volume clone a",
        "volume set",
        "volume restore-at a 10m",
        "volume resize a",
        "volume rollback a",
        "volume move-leader a",
        "volume move-leader a --to b",
        "volume diff a",
        "volume verify",
        "volume snapshot",
        "volume snapshot create a",
        "volume snapshot list",
        "volume snapshot delete a",
        "scrub",
        "scrub start now",
        "cluster",
        "cluster init --name lab",
        "cluster join",
        "scrub stop --wait",
        "stats a b",
        "inspect",
        "conformance",
        "conformance nbd --write yes",
        "fuzz",
        "fuzz nbd",
        "fuzz nbd --uri nbd://127.0.0.1:1/x --cases many",
        "attach demo",
        "attach demo /dev/nbd0 --connections many",
        "detach",
        "attachments now",
        "version --admin 127.0.0.1:1",
        "--admin 127.0.0.1:1 version",
        "--admin 127.0.0.1:1",
        "--json node",
        "node drain 3 --wait --timeout soon"
      })
  void badUsageIsTwoLinesAndTwo(String line) {
    Run run = Run.of(line.isEmpty() ? new String[0] : line.split(" "));
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    List<String> lines = run.err().lines().toList();
    assertThat(lines).hasSize(2);
    assertThat(lines.get(0)).startsWith("plinth: ");
    assertThat(lines.get(1)).matches("Try 'plinth[a-z -]* --help'\\.");
  }

  @Test
  void theVersionIsThatOfTheBuild() {
    assertThat(Run.of("version").out()).startsWith("plinth " + Version.current() + " (Java 2");
    assertThat(Json.parse(Run.of("version", "--json").out()).get("version").stringValue())
        .isEqualTo(Version.current());
  }
}
