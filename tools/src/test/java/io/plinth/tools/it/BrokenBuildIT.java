package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.conformance.Conformance;
import io.plinth.tools.conformance.Means;
import io.plinth.tools.conformance.NbdUri;
import io.plinth.tools.conformance.Options;
import io.plinth.tools.conformance.Result;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The conformance checks find a mistake in a build of the product, one in each group of rules. */
@Timeout(180)
class BrokenBuildIT {
  private static final long TIMEOUT_MS = 3000;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  /** One line of {@code target.nbd} that is wrong, and the rule that it breaks. */
  enum Mistake {
    H4("Negotiation", "refuse(REP_ERR_UNSUP, \"unknown option\")", "refuse(REP_ERR_POLICY, \"\")"),
    T1(
        "Negotiation",
        "refuse(REP_ERR_UNSUP, \"TLS is not available\")",
        "refuse(REP_ERR_TLS_REQD, \"TLS is not available\")"),
    R3("ReplyWriter", "(last ? REPLY_FLAG_DONE : 0)", "REPLY_FLAG_DONE"),
    B2("Transmission", "(request.flags & CMD_FLAG_REQ_ONE) != 0", "false"),
    D1(
        "RequestValidator",
        "case CMD_FLUSH, CMD_TRIM, CMD_CACHE -> CMD_FLAG_FUA;",
        "case CMD_FLUSH, CMD_TRIM, CMD_CACHE -> 0;"),
    E2(
        "Violation",
        "NO_SPACE_BEYOND_END(NbdProtocol.ENOSPC",
        "NO_SPACE_BEYOND_END(NbdProtocol.EIO"),
    S1("OptionReplies", "at + 6, PREFERRED_BLOCK_BYTES", "at + 6, PREFERRED_BLOCK_BYTES + 1"),
    X1("ReplyWriter", "out.putLong(at + 16, request.offset", "out.putLong(at + 16, 0"),
    Z1("RequestValidator", "if (length != 0) return Violation.RESERVED_LENGTH;", "");

    private final String source;
    private final String good;
    private final String broken;

    Mistake(String source, String good, String broken) {
      this.source = source;
      this.good = good;
      this.broken = broken;
    }
  }

  @ParameterizedTest
  @EnumSource(Mistake.class)
  void aMistakeFailsTheRuleThatItBreaks(Mistake mistake) throws Exception {
    BrokenBuild build =
        new BrokenBuild(directory.resolve("tree"), mistake.source, mistake.good, mistake.broken);
    Path config = Files.writeString(directory.resolve("plinth.toml"), "[nbd]\nresize = true\n");
    PlinthProcess server =
        servers.through(
            build.launcher(),
            directory.resolve("log"),
            "serve",
            "--data",
            directory.resolve("data").toString(),
            "--config",
            config.toString(),
            "--nbd",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--volume",
            "scratch=64M");
    Options options =
        new Options(NbdUri.parse(server.uri("scratch")), true, TIMEOUT_MS, Means.NONE);
    List<Result> results =
        new Conformance(options, List.of(mistake.name())).run(id -> {}).results();
    assertThat(results)
        .as("%s", results)
        .singleElement()
        .extracting(Result::outcome)
        .isEqualTo(Result.Outcome.FAIL);
  }

  @Test
  void eachGroupOfRulesHasAMistake() {
    assertThat(Stream.of(Mistake.values()).map(mistake -> mistake.name().substring(0, 1)))
        .containsAll(
            Conformance.rules().keySet().stream()
                .map(id -> id.substring(0, 1))
                .distinct()
                .toList());
  }
}
