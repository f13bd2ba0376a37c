package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class ConformanceTest {
  private static final Options NOBODY =
      new Options(NbdUri.parse("nbd://127.0.0.1:1/x"), false, 1000, Means.NONE);

  @Test
  void eachRuleOfTheTableHasOneCheck() {
    assertThat(String.join(" ", Conformance.rules().keySet()))
        .isEqualTo(
            "H1 H2 H3 H4 H5 H6 H7 H8 H9 H10 H11 T1 T2 T3 T4 T5 T6 R1 R2 R3 R4 R5 R6 R7 R8 B1 B2 B3"
                + " D1 D2 D3 E1 E2 E3 E4 E5 E6 E7 S1 S2 X1 X2 X3 X4 X5 Z1");
  }

  @Test
  void anUnknownRuleIsRefused() {
    assertThatThrownBy(() -> new Conformance(NOBODY, List.of("H1", "H99")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("no rule or group H99; --list shows the rules");
  }

  @Test
  void aServerThatIsNotThereIsNoResult() {
    assertThatThrownBy(() -> new Conformance(NOBODY, List.of()).run(id -> {}))
        .isInstanceOf(UnreachableException.class)
        .hasMessageStartingWith("cannot reach nbd://127.0.0.1:1/x: ");
  }
}
