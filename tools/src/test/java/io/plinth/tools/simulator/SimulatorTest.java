package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.ReplicationBug;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.forward.ForwardingBug;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command: its options, what it prints, and its exit codes. */
class SimulatorTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void theFirstLineTellsWhatIsRunAndTheLastWhatCameOfIt() {
    assertThat(run("--seeds", "1..4", "--steps", "50", "--threads", "2")).isZero();
    assertThat(lines().getFirst())
        .matches("simulate: commit \\S+, nodes 1, seeds 1\\.\\.4, steps 50, threads 2, bug none");
    assertThat(lines().getLast())
        .matches(
            "4 seeds in [0-9.]+ s: [0-9]+ operations; faults: .+; digest [0-9a-f]{16}; 0 failures");
  }

  @Test
  void threadsChangeNothingButTheTime() {
    run("--seeds", "1..8", "--steps", "80", "--threads", "1");
    run("--seeds", "1..8", "--steps", "80", "--threads", "4");
    List<String> totals =
        lines().stream()
            .filter(line -> line.startsWith("8 seeds"))
            .map(line -> line.replaceFirst(" in [0-9.]+ s", ""))
            .toList();
    assertThat(totals).hasSize(2);
    assertThat(totals.getFirst()).isEqualTo(totals.getLast());
  }

  @Test
  void aFailureTellsTheLineThatRepeatsItAndTheExitCodeIsOne() {
    assertThat(run("--seeds", "1..8", "--steps", "600", "--bug", "ACK_FUA_EARLY")).isEqualTo(1);
    List<String> replays =
        lines().stream().filter(line -> line.startsWith("  replay: scripts/simulate ")).toList();
    assertThat(replays).isNotEmpty();
    assertThat(lines().getLast()).matches(".*; [1-8] failures, seeds \\[.+]");
    String[] words = replays.getFirst().strip().split(" ", -1);
    String report =
        lines().stream().filter(line -> line.startsWith("FAILED seed ")).findFirst().orElseThrow();
    out.getBuffer().setLength(0);
    assertThat(run(Arrays.copyOfRange(words, 2, words.length))).isEqualTo(1);
    assertThat(lines()).contains(report);
  }

  @Test
  void aSingleSeedCanBeTraced() {
    assertThat(run("--seed", "3", "--steps", "100", "--trace")).isZero();
    assertThat(out.toString()).contains("step 0: faults: ").contains(" sectors from v:");
  }

  @Test
  void theBugsAreListed() {
    assertThat(run("--list-bugs")).isZero();
    Set<String> names = new TreeSet<>();
    lines().forEach(line -> names.add(line.split(" ", 2)[0]));
    assertThat(names).hasSameSizeAs(lines());
    for (Class<? extends Enum<?>> kind :
        List.of(PlantedBug.class, ReplicationBug.class, ForwardingBug.class, CatalogueBug.class)) {
      for (Enum<?> bug : kind.getEnumConstants()) {
        assertThat(names).contains(bug.name());
      }
    }
    assertThat(lines())
        .anyMatch(line -> line.matches("SKIP_FDATASYNC +--nodes 1"))
        .anyMatch(line -> line.matches("REPLICA_EVERYWHERE +--nodes 3, 5"));
  }

  @Test
  void aClusterIsRunAndSummedUp() {
    assertThat(run("--nodes", "3", "--seeds", "1..2", "--steps", "100")).isZero();
    assertThat(lines().getFirst())
        .matches(
            "simulate: commit \\S+, nodes 3, seeds 1\\.\\.2, steps 100, threads \\d+, bug none");
    assertThat(lines().getLast())
        .matches(
            "2 seeds in [0-9.]+ s: \\d+ operations; faults: .+; commands \\d+; joins \\d+;"
                + " resyncs \\d+; digest [0-9a-f]{16}; 0 failures");
  }

  @Test
  void aFailureOfAClusterTellsTheLineThatRepeatsIt() {
    String[] line = {
      "--nodes", "3", "--seed", "1", "--steps", "200", "--bug", "REPLICA_EVERYWHERE"
    };
    line[3] = Long.toString(firstFailure());
    out.getBuffer().setLength(0);
    assertThat(run(line)).isEqualTo(1);
    assertThat(lines()).contains("  replay: scripts/simulate " + String.join(" ", line));
  }

  private long firstFailure() {
    assertThat(
            run("--nodes", "3", "--seeds", "1..8", "--steps", "200", "--bug", "replica_everywhere"))
        .isEqualTo(1);
    return lines().stream()
        .filter(line -> line.startsWith("FAILED seed "))
        .mapToLong(line -> Long.parseLong(line.split(" ", 4)[2]))
        .min()
        .orElseThrow();
  }

  @Test
  void helpIsNoFailure() {
    assertThat(run("--help")).isZero();
    assertThat(out.toString()).startsWith("Usage: simulate ").contains("--seeds=A..B");
    assertThat(lines()).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(100));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--sed 1",
        "7",
        "--seed x",
        "--seeds 5..1",
        "--seeds 1",
        "--seeds 1..x",
        "--seed 1 --seeds 1..2",
        "--steps 0",
        "--steps many",
        "--threads 0",
        "--bug NONE",
        "--bug REPLICA_EVERYWHERE",
        "--nodes 2",
        "--seeds 1..2 --trace"
      })
  void badUsageIsOneLineAndTwo(String line) {
    assertThat(run(line.split(" ", -1))).isEqualTo(2);
    assertThat(out.toString()).isEmpty();
    assertThat(err.toString().lines().toList()).hasSize(1);
    assertThat(err.toString()).startsWith("simulate: ");
  }

  private int run(String... args) {
    return Simulator.run(new PrintWriter(out, true), new PrintWriter(err, true), args);
  }

  private List<String> lines() {
    return out.toString().lines().toList();
  }
}
