package io.plinth.tools.cli;

import io.plinth.tools.conformance.Fuzzer;
import io.plinth.tools.conformance.NbdUri;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code plinth fuzz nbd}. */
@Command(
    name = "nbd",
    description = {
      "Let clients loose on an NBD server of any make that say nearly the right thing, and look",
      "every 50 of them whether others are served: a connection from before, and a new one. Ends",
      "with 1 when they are not, and tells which cases to play again.",
      "",
      "THE EXPORT IS OVERWRITTEN: give it one that nobody needs."
    },
    footer = {
      "",
      "Examples:",
      "  plinth fuzz nbd --uri nbd://127.0.0.1:10809/scratch --other demo --seconds 600",
      "  plinth fuzz nbd --uri nbd://127.0.0.1:10809/scratch --seed 7 --first 4150 --cases 50"
    })
final class FuzzNbdCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--uri",
      required = true,
      paramLabel = "URI",
      description =
          "Server and export: nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH.")
  private String uri;

  @Option(
      names = "--other",
      paramLabel = "EXPORT",
      defaultValue = "",
      description = "Another export of that server, whose content must stay as it is.")
  private String other;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "What the cases follow from (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--first",
      paramLabel = "CASE",
      defaultValue = "0",
      description = "The first case (default: ${DEFAULT-VALUE}).")
  private long first;

  @Option(
      names = "--cases",
      paramLabel = "N",
      defaultValue = "1000000000",
      description = "How many cases at most (default: as many as there is time for).")
  private long cases;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "60",
      description = "How long at most (default: ${DEFAULT-VALUE}).")
  private long seconds;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    require("--first", first, 0, Long.MAX_VALUE / 2);
    require("--cases", cases, 1, Long.MAX_VALUE / 2);
    require("--seconds", seconds, 1, 30L * 86_400);
    NbdUri server;
    try {
      server = NbdUri.parse(uri);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    PrintWriter out = spec.commandLine().getOut();
    try {
      Fuzzer.Outcome outcome =
          new Fuzzer(server, other, seed)
              .run(first, cases, seconds, json ? line -> {} : line -> tell(out, line));
      if (json) {
        tell(out, Json.pretty(Json.tree(outcome)));
      } else {
        tell(out, outcome);
      }
      return outcome.problem().isEmpty() ? ExitCodes.OK : ExitCodes.FAILED;
    } catch (IOException e) {
      throw new CliException(
          ExitCodes.UNREACHABLE, "unreachable", "cannot reach " + uri + ": " + e.getMessage(), e);
    }
  }

  private void tell(PrintWriter out, Fuzzer.Outcome outcome) {
    if (outcome.problem().isEmpty()) {
      tell(out, "fuzz nbd: seed " + seed + ", " + outcome.cases() + " cases, nobody harmed");
      return;
    }
    long last = first + outcome.cases() - 1;
    tell(out, "after cases " + outcome.suspect() + " to " + last + ": " + outcome.problem());
    long count = last - outcome.suspect() + 1;
    tell(
        out,
        "again: plinth fuzz nbd --uri '"
            + uri
            + "' --seed "
            + seed
            + " --first "
            + outcome.suspect()
            + " --cases "
            + count);
  }

  private static void tell(PrintWriter out, String line) {
    out.println(line);
    out.flush();
  }

  private static void require(String option, long value, long least, long most) {
    if (value < least || value > most) {
      throw CliException.usage(
          "option " + option + ": " + value + " is not between " + least + " and " + most, null);
    }
  }
}
