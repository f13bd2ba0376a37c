package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth conformance}: leads to its subcommands. */
@Command(
    name = "conformance",
    description = "Check whether a server keeps the rules of its protocol, this one or any other.",
    footer = {
      "",
      "Examples:",
      "  plinth conformance nbd --uri nbd://127.0.0.1:10809/scratch --write"
    })
final class ConformanceCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }
}
