package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.conformance.Conformance;
import io.plinth.tools.conformance.Means;
import io.plinth.tools.conformance.NbdUri;
import io.plinth.tools.conformance.Options;
import io.plinth.tools.conformance.Result;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Would the conformance checks find a fault in this server? Its real answers are changed on their
 * way, one thing at a time, and the rule that is broken by that must fail.
 */
@Timeout(180)
class PlantedFaultsIT {
  private static final long TIMEOUT_MS = 3000;

  @RegisterExtension static final Servers SERVERS = Servers.ofClass();

  @TempDir(factory = UnderTarget.class)
  static Path directory;

  private static PlinthProcess server;

  @BeforeAll
  static void serve() throws Exception {
    String[] volumes = {"--volume", "scratch=64M", "--volume", "rotten=64M"};
    byte[] block = new byte[4096];
    new SplittableRandom(11).nextBytes(block);
    Path data = directory.resolve("data");
    PlinthProcess first = SERVERS.serve(data, volumes);
    try (NbdClient client = NbdClient.connect(first.nbd(), "rotten")) {
      assertThat(client.write(0, block)).isZero();
    }
    assertThat(first.terminate()).isZero();
    long _ = Rot.flip(data, block);
    server = SERVERS.serve(data, volumes);
  }

  private static List<Result> run(MeddlerFault fault, String... only) throws Exception {
    try (Meddler meddler = new Meddler(server.nbd(), fault)) {
      NbdUri failing = NbdUri.parse(meddler.uri("rotten"));
      Options options =
          new Options(
              NbdUri.parse(meddler.uri("scratch")),
              true,
              TIMEOUT_MS,
              new Means(failing, null, null, null, null));
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
  @EnumSource(MeddlerFault.class)
  void eachFaultFailsItsRule(MeddlerFault fault) throws Exception {
    List<Result> results = run(fault, fault.rule().substring(0, 1));
    Result result =
        results.stream().filter(each -> each.id().equals(fault.rule())).findFirst().orElseThrow();
    assertThat(result.outcome())
        .as("%s: %s; failed: %s", fault.rule(), result.detail(), failed(results))
        .isEqualTo(Result.Outcome.FAIL);
  }

  @Test
  void withoutAFaultNothingFails() throws Exception {
    assertThat(failed(run(null))).isEmpty();
  }

  @Test
  void eachGroupHasAFault() {
    assertThat(Stream.of(MeddlerFault.values()).map(fault -> fault.rule().substring(0, 1)))
        .contains("H", "T", "R", "B", "D", "E", "S", "X");
  }
}
