package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth scrub}: only its help. */
@Command(
    name = "scrub",
    description = {
      "Look for rotten blocks: read everything that is needed from the disk, and compare it with its",
      "checksums. The server does so by itself from time to time (log.scrub-interval), as fast as",
      "log.scrub-rate says."
    },
    footer = {
      "",
      "Examples:",
      "  plinth scrub start --wait",
      "  plinth scrub status",
      "  plinth scrub stop"
    })
final class ScrubCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing: start, stop or status");
  }
}
