package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class AttachCommandTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "attach demo /dev/sda",
        "attach demo /dev/nbd0 --connections 0",
        "attach demo /dev/nbd0 --connections 17",
        "attach demo /dev/nbd0 --dead-timeout 0",
        "attach demo /dev/nbd0 --dead-timeout 86401",
        "attach demo /dev/nbd0 --server 127.0.0.1",
        "attach demo /dev/nbd0 --server 127.0.0.1:99999",
        "detach /dev/null"
      })
  void badArgumentsAreOneLineAndTwo(String line) {
    Run run = Run.of(line.split(" "));
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).startsWith("plinth: ").hasLineCount(1);
  }

  @Test
  void anEmptyOrOverlongNameIsRefused() {
    assertThat(Run.of("attach", "", "/dev/nbd0").exitCode()).isEqualTo(2);
    assertThat(Run.of("attach", "v".repeat(256), "/dev/nbd0").exitCode()).isEqualTo(2);
    assertThat(Run.of("attach", "v", "/dev/nbd0", "--unix", "p".repeat(108)).exitCode())
        .isEqualTo(2);
  }

  /** With the module and as root nobody listens; otherwise it ends before that. */
  @Test
  void whatKeepsItFromAttachingIsOneLine() {
    Run run = Run.of("attach", "demo", "/dev/nbd0", "--server", "127.0.0.1:1");
    assertThat(run.exitCode()).isIn(ExitCodes.FAILED, ExitCodes.UNREACHABLE);
    assertThat(run.err())
        .containsAnyOf("run `modprobe nbd`", "no server can be reached", "only root can")
        .hasLineCount(1);
  }
}
