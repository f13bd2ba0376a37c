package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Scripts with the expected output in the file. {@code -Dplinth.raft.rewrite=true} writes what came
 * out into the files instead of comparing it: read the difference before committing it.
 */
class RaftScriptTest {
  private static final Path SCRIPTS = Path.of("src/test/resources/scripts");

  static Stream<String> scripts() throws IOException {
    try (Stream<Path> files = Files.list(SCRIPTS)) {
      List<String> names = files.map(file -> file.getFileName().toString()).sorted().toList();
      return names.stream();
    }
  }

  @ParameterizedTest
  @MethodSource("scripts")
  void theScriptPrintsWhatItSays(String name) throws IOException {
    String text = Files.readString(SCRIPTS.resolve(name));
    String actual = run(text);
    if (Boolean.getBoolean("plinth.raft.rewrite")) {
      Files.writeString(SCRIPTS.resolve(name), actual);
      return;
    }
    assertThat(actual).isEqualTo(text);
  }

  @Test
  void thereAreAtLeastTwentyScripts() throws IOException {
    try (Stream<String> names = scripts()) {
      assertThat(names).hasSizeGreaterThanOrEqualTo(20);
    }
  }

  /** Commands start with "> "; what follows one is its output; "#" starts a remark. */
  private static String run(String text) {
    ScriptGroup group = new ScriptGroup();
    StringBuilder out = new StringBuilder();
    for (String line : text.lines().toList()) {
      if (line.startsWith("> ")) {
        out.append(line).append('\n');
        for (String output : group.run(line.substring(2).split(" "))) {
          out.append("  ").append(output).append('\n');
        }
      } else if (line.startsWith("#")) {
        out.append(line).append('\n');
      }
    }
    return out.toString();
  }
}
