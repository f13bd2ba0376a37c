package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.conformance.Facts.Tls;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A server that breaks a rule is found out, by that rule. */
@Timeout(120)
class PlantedBugsTest {
  /** What a server without a failing disk, or without being shut down, can't be asked. */
  private static final List<String> NOT_TO_BE_SEEN = List.of("R5", "R6", "E5");

  private static final long TIMEOUT_MS = 1500;

  private static List<Result> run(Bug bug, Tls mode, String... only) throws IOException {
    try (FakeNbdServer server = new FakeNbdServer(bug, mode)) {
      Options options = new Options(NbdUri.parse(server.uri()), true, TIMEOUT_MS);
      return new Conformance(options, List.of(only)).run(id -> {}).results();
    }
  }

  private static List<String> failed(List<Result> results) {
    return results.stream()
        .filter(result -> result.outcome() == Result.Outcome.FAIL)
        .map(result -> result.id() + ": " + result.detail())
        .toList();
  }

  @ParameterizedTest
  @EnumSource(Tls.class)
  void withoutABugNothingFails(Tls mode) throws Exception {
    assertThat(failed(run(null, mode))).isEmpty();
  }

  @Test
  void withoutABugAllThatAWholeServerOffersIsJudged() throws Exception {
    List<String> passed = new ArrayList<>();
    for (Result result : run(null, Tls.NOTLS)) {
      if (result.outcome() == Result.Outcome.PASS) {
        passed.add(result.id());
      }
    }
    List<String> expected = new ArrayList<>(Conformance.rules().keySet());
    expected.removeAll(NOT_TO_BE_SEEN);
    // These are about TLS.
    expected.removeAll(List.of("T2", "T3", "T4", "T5"));
    assertThat(passed).isEqualTo(expected);
  }

  @ParameterizedTest
  @EnumSource(Bug.class)
  void eachBugFailsItsRule(Bug bug) throws Exception {
    Map<String, Result> results =
        run(bug, bug.mode(), bug.rule().substring(0, 1)).stream()
            .collect(Collectors.toMap(Result::id, result -> result));
    assertThat(results.get(bug.rule()).outcome())
        .as(
            "%s: %s; failed: %s",
            bug.rule(), results.get(bug.rule()).detail(), failed(List.copyOf(results.values())))
        .isEqualTo(Result.Outcome.FAIL);
  }

  @Test
  void eachRuleThatCanBeSeenHasABug() {
    List<String> planted = Stream.of(Bug.values()).map(Bug::rule).distinct().toList();
    List<String> expected = new ArrayList<>(Conformance.rules().keySet());
    expected.removeAll(NOT_TO_BE_SEEN);
    // A delay of 40 ms on each reply is the kernel's work.
    boolean _ = expected.remove("S2");
    assertThat(planted).containsExactlyInAnyOrderElementsOf(expected);
  }
}
