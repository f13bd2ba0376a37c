package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth volume}: only its help. */
@Command(
    name = "volume",
    description =
        "Create, list, show, change, clone, resize and delete volumes of a running server.",
    footer = {
      "",
      "Examples:",
      "  plinth volume create demo 1G",
      "  plinth volume list --json",
      "  plinth volume snapshot create demo monday",
      "  plinth volume delete demo --force"
    })
final class VolumeCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "a command is missing: create, clone, list, show, set, resize, snapshot, diff, verify, rollback or delete");
  }
}
