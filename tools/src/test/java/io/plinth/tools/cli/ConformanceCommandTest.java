package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConformanceCommandTest {
  private static final String NOBODY = "nbd://127.0.0.1:1/x";

  private static void assertRefused(String message, String... options) {
    List<String> command = new ArrayList<>(List.of("conformance", "nbd"));
    command.addAll(List.of(options));
    assertThat(Run.of(command.toArray(new String[0])))
        .isEqualTo(new Run(2, "", "plinth: " + message + "\n"));
  }

  @Test
  void aUriThatIsWrongIsNamedByItsOption() {
    assertRefused("option --uri is missing");
    assertRefused("the URI names no host: nbd:///x", "--uri", "nbd:///x");
    assertRefused(
        "option --failing-uri: the URI names no host: nbd:///x",
        "--uri",
        NOBODY,
        "--failing-uri",
        "nbd:///x");
    for (String option : List.of("--forced-tls-uri", "--selective-tls-uri")) {
      assertRefused(
          "option " + option + ": a URI with nbds:// or nbds+unix:// is wanted, not " + NOBODY,
          "--uri",
          NOBODY,
          option,
          NOBODY);
    }
  }

  @Test
  void aServerThatIsNotThereIsNamedByItsUri() {
    Run run = Run.of("conformance", "nbd", "--uri", NOBODY, "--only", "H1");
    assertThat(run.exitCode()).isEqualTo(3);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).startsWith("plinth: cannot reach " + NOBODY + ": ").hasLineCount(1);
  }
}
