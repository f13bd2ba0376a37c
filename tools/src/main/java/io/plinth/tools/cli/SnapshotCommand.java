package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth volume snapshot}: only its help. */
@Command(
    name = "snapshot",
    description = {
      "Take, list and delete snapshots of a volume. A snapshot is there at once, takes no space of",
      "its own until the volume changes, and can be read by clients as VOLUME@SNAPSHOT."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume snapshot create demo monday",
      "  plinth volume snapshot list demo",
      "  nbdcopy nbd://127.0.0.1:10809/demo@monday backup.img"
    })
final class SnapshotCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: create, list or delete");
  }
}
