package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth fuzz}: leads to its subcommands. */
@Command(
    name = "fuzz",
    description =
        "Find out whether clients that break the protocol harm a server, or others on it.",
    footer = {
      "",
      "Examples:",
      "  plinth fuzz nbd --uri nbd://127.0.0.1:10809/scratch --other demo --seconds 600"
    })
final class FuzzCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }
}
