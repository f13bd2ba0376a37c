package io.plinth.log.recovery;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * The decision table: every combination of inputs has exactly one row, and every row has a
 * combination.
 */
class RecoveryDecisionTest {
  private static final boolean[] BOTH = {false, true};

  @Test
  void exactlyOneRowMatchesEachCombinationOfInputsAndEveryRowIsHit() {
    Set<RecoveryDecision> hit = EnumSet.noneOf(RecoveryDecision.class);
    int combinations = 0;
    for (boolean header : BOTH) {
      for (boolean payload : BOTH) {
        for (boolean durable : BOTH) {
          for (boolean boot : BOTH) {
            for (boolean successor : BOTH) {
              List<RecoveryDecision> rows = matching(header, payload, durable, boot, successor);
              assertThat(rows)
                  .as(
                      "header %s payload %s durable %s boot %s successor %s",
                      header, payload, durable, boot, successor)
                  .hasSize(1);
              assertThat(RecoveryDecision.of(header, payload, durable, boot, successor))
                  .isEqualTo(rows.getFirst());
              hit.add(rows.getFirst());
              combinations++;
            }
          }
        }
      }
    }
    assertThat(combinations).isEqualTo(32);
    assertThat(hit).containsExactlyInAnyOrder(RecoveryDecision.values());
  }

  @Test
  void nothingThatWasDurableIsEverCut() {
    for (RecoveryDecision row : RecoveryDecision.values()) {
      for (boolean header : BOTH) {
        for (boolean payload : BOTH) {
          for (boolean boot : BOTH) {
            for (boolean successor : BOTH) {
              if (row.matches(header, payload, true, boot, successor)) {
                assertThat(row.outcome()).isNotEqualTo(RecoveryDecision.Outcome.CUT);
              }
            }
          }
        }
      }
    }
  }

  private static List<RecoveryDecision> matching(
      boolean header, boolean payload, boolean durable, boolean boot, boolean successor) {
    List<RecoveryDecision> rows = new ArrayList<>();
    for (RecoveryDecision row : RecoveryDecision.values()) {
      if (row.matches(header, payload, durable, boot, successor)) {
        rows.add(row);
      }
    }
    return rows;
  }
}
