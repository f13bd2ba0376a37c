package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.conformance.Facts.Tls;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A server that breaks a rule is found out, by that rule. */
@Timeout(120)
class PlantedBugsTest {
  private static final long TIMEOUT_MS = 1500;

  @BeforeAll
  static void makeTheCertificateWhileNobodyWaits() {
    FakeTls.load();
  }

  private static List<Result> run(Bug bug, Tls mode, String... only) throws IOException {
    try (FakeNbdServer server = new FakeNbdServer(bug, mode)) {
      String secret = mode == Tls.SELECTIVETLS ? FakeNbdServer.SECRET : null;
      Means means =
          new Means(server.uri(FakeNbdServer.ROTTEN), null, null, secret, server::shutDown);
      return run(server, means, only);
    }
  }

  private static List<Result> run(FakeNbdServer server, Means means, String... only)
      throws IOException {
    Options options = new Options(server.uri(), true, TIMEOUT_MS, means);
    return new Conformance(options, List.of(only)).run(id -> {}).results();
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
  void withoutABugAndWithAllMeansEachRuleIsJudged() throws Exception {
    List<String> passed = new ArrayList<>();
    try (FakeNbdServer server = new FakeNbdServer(null, Tls.NOTLS);
        FakeNbdServer forced = new FakeNbdServer(null, Tls.FORCEDTLS);
        FakeNbdServer selective = new FakeNbdServer(null, Tls.SELECTIVETLS)) {
      Means means =
          new Means(
              server.uri(FakeNbdServer.ROTTEN),
              forced.uri(),
              selective.uri(),
              FakeNbdServer.SECRET,
              server::shutDown);
      for (Result result : run(server, means)) {
        if (result.outcome() == Result.Outcome.PASS) {
          passed.add(result.id());
        }
      }
    }
    assertThat(passed).isEqualTo(List.copyOf(Conformance.rules().keySet()));
  }

  @Test
  void aServerThatDoesNotForceTlsIsNoServerThatForcesIt() throws Exception {
    try (FakeNbdServer server = new FakeNbdServer(null, Tls.NOTLS);
        FakeNbdServer selective = new FakeNbdServer(null, Tls.SELECTIVETLS)) {
      Means means = new Means(null, selective.uri(), null, null, null);
      assertThat(failed(run(server, means, "T2")))
          .singleElement(InstanceOfAssertFactories.STRING)
          .contains("forced TLS: options before STARTTLS: LIST is answered ACK")
          .contains("forced TLS: EXPORT_NAME: ");
    }
  }

  @Test
  void withoutTheMeansNothingIsSaidOfTheirRules() throws Exception {
    try (FakeNbdServer server = new FakeNbdServer(null, Tls.NOTLS)) {
      assertThat(run(server, Means.NONE, "R5", "R6", "E5", "T2", "T3"))
          .extracting(result -> result.outcome() + " " + result.detail())
          .containsExactly(
              "SKIP the server is in NOTLS mode; --forced-tls-uri gives another one",
              "SKIP the server is in NOTLS mode; --selective-tls-uri gives another one",
              "SKIP needs an export whose READs fail: --failing-uri",
              "SKIP needs an export whose READs fail: --failing-uri",
              "SKIP needs a way to stop the server: --stop-command");
    }
  }

  @Test
  void aStopCommandThatFailsIsNotTheServersFault() throws Exception {
    try (FakeNbdServer server = new FakeNbdServer(null, Tls.NOTLS)) {
      Means.Stop stop =
          () -> {
            throw new IOException("ended with 1");
          };
      assertThat(run(server, new Means(null, null, null, null, stop), "E5"))
          .extracting(result -> result.outcome() + " " + result.detail())
          .containsExactly("SKIP --stop-command ended with 1");
    }
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
  void eachRuleHasABug() {
    List<String> planted = Stream.of(Bug.values()).map(Bug::rule).distinct().toList();
    List<String> expected = new ArrayList<>(Conformance.rules().keySet());
    // A delay of 40 ms on each reply is the kernel's work.
    boolean _ = expected.remove("S2");
    assertThat(planted).containsExactlyInAnyOrderElementsOf(expected);
  }
}
