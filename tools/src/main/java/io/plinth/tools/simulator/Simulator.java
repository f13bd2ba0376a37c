package io.plinth.tools.simulator;

import io.plinth.target.node.ClusterBugs;
import io.plinth.tools.cli.ExitCodes;
import io.plinth.tools.cli.Processes;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.cluster.ClusterSimulation;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Entry point of {@code scripts/simulate}. */
@Command(
    name = "simulate",
    sortOptions = false,
    description = {
      "Run a real node, or a cluster of them, on simulated hardware, from one seed, through requests",
      "and faults, and hold it to what it guarantees. The same options give the same run."
    },
    optionListHeading = "%nOptions:%n",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:every seed kept every guarantee", "1:a seed has failed", "2:bad usage"},
    footer = {
      "",
      "Examples:",
      "  simulate --seeds 1..2000 --steps 1000",
      "  simulate --seed 17 --steps 600 --trace",
      "  simulate --seeds 1..200 --bug SKIP_FDATASYNC",
      "  simulate --nodes 3 --seeds 1..5000"
    })
public final class Simulator implements Callable<Integer> {
  private static final int MAX_DEFAULT_THREADS = 16;
  private static final long PROGRESS_MS = 10_000;
  private static final SimulatedBug NO_BUG = new SimulatedBug("none", Set.of(), ClusterBugs.NONE);
  private static final String COMMIT = System.getProperty("plinth.commit", "unknown");

  @Spec private CommandSpec spec;

  @Option(names = "--seed", paramLabel = "N", description = "Run this seed (default: 1).")
  private Long seed;

  @Option(
      names = "--seeds",
      paramLabel = "A..B",
      converter = SeedRange.Converter.class,
      description = "Run all seeds from A to B.")
  private SeedRange seeds;

  @Option(
      names = "--nodes",
      paramLabel = "N",
      defaultValue = "1",
      description = "1, or the nodes of a cluster, 3 to 5 (default: ${DEFAULT-VALUE}).")
  private int nodes;

  @Option(
      names = "--steps",
      paramLabel = "M",
      defaultValue = "1000",
      description = "Steps of each run; each is a request or a fault (default: ${DEFAULT-VALUE}).")
  private int steps;

  @Option(
      names = "--threads",
      paramLabel = "T",
      description = "Seeds to run at a time (default: processors, at most 16).")
  private Integer threads;

  @Option(
      names = "--bug",
      paramLabel = "NAME",
      converter = SimulatedBug.Converter.class,
      description = "Plant this bug, to see that it is caught.")
  private SimulatedBug bug;

  @Option(names = "--list-bugs", description = "Print the bugs, and which simulation they are for.")
  private boolean listBugs;

  @Option(names = "--trace", description = "Print what happens; for a single seed.")
  private boolean trace;

  @Option(names = "--log", description = "Let the node's own log through, to standard error.")
  private boolean log;

  private final long startNs = System.nanoTime();

  private Simulator() {}

  /** Runs and ends the process with 0, 1 when a seed has failed, or 2 for bad usage. */
  public static void main(String[] args) {
    PrintWriter out = new PrintWriter(System.out, true, System.out.charset());
    PrintWriter err = new PrintWriter(System.err, true, System.err.charset());
    Processes.exit(run(out, err, args));
  }

  static int run(PrintWriter out, PrintWriter err, String... args) {
    CommandLine command = new CommandLine(new Simulator());
    command
        .getCommandSpec()
        .addOption(
            OptionSpec.builder("-h", "--help")
                .usageHelp(true)
                .description("Show this help.")
                .build());
    return command
        .setOut(out)
        .setErr(err)
        .setUsageHelpWidth(100)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler((e, arguments) -> {
          err.println("simulate: " + e.getMessage().lines().findFirst().orElse("bad usage"));
          return ExitCodes.USAGE;
        })
        .execute(args);
  }

  @Override
  public Integer call() throws InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    if (listBugs) {
      for (SimulatedBug listed : SimulatedBug.all()) {
        out.printf(Locale.ROOT, "%-32s %s%n", listed.name(), listed.simulation());
      }
      return ExitCodes.OK;
    }
    SeedRange range = checkedRange();
    int threadCount = threads();
    // Before the first logger is made. What a damaged disk makes a node say is no news here.
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", log ? "info" : "off");
    out.println(
        "simulate: commit "
            + COMMIT
            + ", nodes "
            + nodes
            + ", seeds "
            + range
            + ", steps "
            + steps
            + ", threads "
            + threadCount
            + ", bug "
            + (bug == null ? "none" : bug.name()));
    SeedRunner runner = new SeedRunner(job(trace ? out::println : null));
    runner.run(range, threadCount, PROGRESS_MS, new Report(out, runner, range.count()));
    out.println(summary(runner));
    return runner.failures().isEmpty() ? ExitCodes.OK : ExitCodes.FAILED;
  }

  private SeedRunner.Job job(Consumer<String> events) {
    SimulatedBug planted = bug == null ? NO_BUG : bug;
    if (nodes == 1) {
      return (number, stepCount) ->
          SeedResult.of(
              new NodeSimulation(number, planted.planted(), events, stepCount).run(steps));
    }
    return (number, stepCount) ->
        SeedResult.of(
            new ClusterSimulation(
                    nodes, number, planted.planted(), planted.clusterBugs(), events, stepCount)
                .run(steps));
  }

  private SeedRange checkedRange() {
    if (nodes != 1 && (nodes < 3 || nodes > 5)) {
      throw new ParameterException(spec.commandLine(), "--nodes must be 1, 3, 4 or 5");
    }
    if (nodes == 1 && bug != null && bug.needsOthers()) {
      throw new ParameterException(
          spec.commandLine(), "--bug " + bug.name() + " needs --nodes 3, 4 or 5");
    }
    if (seed != null && seeds != null) {
      throw new ParameterException(spec.commandLine(), "--seed and --seeds exclude each other");
    }
    if (steps < 1) {
      throw new ParameterException(spec.commandLine(), "--steps must be at least 1");
    }
    SeedRange range = seeds;
    if (range == null) {
      long only = seed == null ? 1 : seed;
      range = new SeedRange(only, only);
    }
    if (trace && range.count() > 1) {
      throw new ParameterException(spec.commandLine(), "--trace needs a single seed");
    }
    return range;
  }

  private int threads() {
    if (threads == null) {
      return Math.min(MAX_DEFAULT_THREADS, Runtime.getRuntime().availableProcessors());
    }
    if (threads < 1) {
      throw new ParameterException(spec.commandLine(), "--threads must be at least 1");
    }
    return threads;
  }

  /** The one line that runs a seed again. */
  private String replay(long failedSeed) {
    return "scripts/simulate "
        + (nodes == 1 ? "" : "--nodes " + nodes + " ")
        + "--seed "
        + failedSeed
        + " --steps "
        + steps
        + (bug == null ? "" : " --bug " + bug.name());
  }

  private String summary(SeedRunner runner) {
    StringJoiner faults = new StringJoiner(", ");
    runner.faults().forEach((fault, count) -> faults.add(fault + " " + count));
    StringBuilder figures = new StringBuilder();
    runner
        .figures()
        .forEach((figure, count) -> figures.append("; ").append(figure).append(' ').append(count));
    List<Long> failed = new ArrayList<>(runner.failures().keySet());
    return String.format(
        Locale.ROOT,
        "%d seeds%s in %.1f s: %d operations; faults: %s%s; digest %016x; %d failures%s",
        runner.finished(),
        runner.gaveUp() ? " (given up)" : "",
        seconds(),
        runner.operations(),
        faults.length() == 0 ? "none" : faults,
        figures,
        runner.digest(),
        failed.size(),
        failed.isEmpty() ? "" : ", seeds " + failed);
  }

  private double seconds() {
    return (System.nanoTime() - startNs) / 1e9;
  }

  /** Tells people. */
  private final class Report implements SeedRunner.Listener {
    private final PrintWriter out;
    private final SeedRunner runner;
    private final long total;

    Report(PrintWriter out, SeedRunner runner, long total) {
      this.out = out;
      this.runner = runner;
      this.total = total;
    }

    @Override
    public void onFailure(long failedSeed, Throwable failure) {
      boolean found = failure instanceof Violation;
      out.println(
          "FAILED seed "
              + failedSeed
              + " at commit "
              + COMMIT
              + ": "
              + (found ? failure.getMessage() : failure));
      out.println("  replay: " + replay(failedSeed));
      if (!found) {
        // Nothing that a checker has found: where it comes from is all that there is to go by.
        failure.printStackTrace(out);
      }
    }

    @Override
    public void onProgress() {
      out.printf(
          Locale.ROOT,
          "  %d of %d seeds, %d steps, %d operations, %d failures, %.0f s%n",
          runner.finished(),
          total,
          runner.steps(),
          runner.operations(),
          runner.failures().size(),
          seconds());
    }
  }
}
