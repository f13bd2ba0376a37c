package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.main.ServerConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SocketActivationTest {
  private static final String OWN = Long.toString(ProcessHandle.current().pid());

  @Test
  void socketsForThisProcessBeginAtThree() {
    assertThat(SocketActivation.sockets(Map.of("LISTEN_PID", "7", "LISTEN_FDS", "2"), 7))
        .containsExactly(3, 4);
    assertThat(
            SocketActivation.sockets(
                Map.of("LISTEN_PID", "7", "LISTEN_FDS", "2", "LISTEN_FDNAMES", "a:"), 7))
        .containsExactly(3, 4);
  }

  @Test
  void whatIsMeantForAnotherProcessIsLeftAlone() {
    assertThat(SocketActivation.sockets(Map.of(), 7)).isEmpty();
    assertThat(SocketActivation.sockets(Map.of("LISTEN_FDS", "1"), 7)).isEmpty();
    assertThat(SocketActivation.sockets(Map.of("LISTEN_PID", "7"), 7)).isEmpty();
    assertThat(SocketActivation.sockets(Map.of("LISTEN_PID", "8", "LISTEN_FDS", "?"), 7)).isEmpty();
    assertThat(SocketActivation.sockets(Map.of("LISTEN_PID", "7", "LISTEN_FDS", "0"), 7)).isEmpty();
  }

  @Test
  void whatCannotBeReadIsNamed() {
    assertBad("bad value for LISTEN_PID: expected a number from 1, not \"x\"", "x", "1", "a");
    assertBad("bad value for LISTEN_FDS: expected a number from 0 to 256, not \"\"", "7", "", "a");
    assertBad(
        "bad value for LISTEN_FDS: expected a number from 0 to 256, not \"257\"", "7", "257", "");
    assertBad(
        "bad value for LISTEN_FDNAMES: expected 2 names, as LISTEN_FDS says, not \"a\"",
        "7",
        "2",
        "a");
  }

  private static void assertBad(String message, String pid, String count, String names) {
    Map<String, String> environment =
        Map.of("LISTEN_PID", pid, "LISTEN_FDS", count, "LISTEN_FDNAMES", names);
    assertThatThrownBy(() -> SocketActivation.sockets(environment, 7))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void theyAreServedInsteadOfTheDefaultsAndExcludeAddresses() {
    Map<String, String> environment = Map.of("LISTEN_PID", OWN, "LISTEN_FDS", "1");
    List<ServerConfig> started = new ArrayList<>();
    RunningServer.Starter starter =
        config -> {
          started.add(config);
          return new RunningServer() {
            @Override
            public String readyLine() {
              return "ready";
            }

            @Override
            public void awaitTermination() {}

            @Override
            public void stop() {}
          };
        };
    Run run = Run.of(environment, starter, "serve");
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).startsWith("ready\n");
    assertThat(started.getFirst().nbd().inheritedSockets()).containsExactly(3);
    assertThat(started.getFirst().nbd().listen()).isEmpty();

    assertThat(Run.of(environment, starter, "serve", "--nbd", "127.0.0.1:0").err())
        .isEqualTo(
            "plinth: options --nbd and --nbd-unix exclude sockets that are handed over"
                + " (LISTEN_FDS=1): leave them out\n");
    assertThat(started).hasSize(1);
  }
}
