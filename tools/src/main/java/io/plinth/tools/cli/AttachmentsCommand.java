package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.tools.attach.AttachException;
import io.plinth.tools.attach.BlockDevices;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code plinth attachments}. */
@Command(
    name = "attachments",
    description = {
      "List the NBD devices of this machine's kernel that are attached, whoever attached them. The",
      "volume is known of those that `plinth attach` attached."
    },
    footer = {"", "Examples:", "  plinth attachments", "  plinth attachments --all --json"})
final class AttachmentsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(names = "--all", description = "List the free devices too.")
  private boolean all;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    List<BlockDevices.Device> devices;
    try {
      devices = BlockDevices.list().stream().filter(device -> all || device.attached()).toList();
    } catch (AttachException e) {
      throw AttachCommand.failure(e);
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.pretty(Json.tree(Map.of("devices", devices))));
      return ExitCodes.OK;
    }
    Table table = new Table("llrlr", "DEVICE", "STATE", "SIZE", "VOLUME", "PROCESS");
    for (BlockDevices.Device device : devices) {
      table.row(
          device.device(),
          device.attached() ? "attached" : "free",
          Sizes.format(device.sizeBytes()),
          device.volume() == null ? "-" : device.volume(),
          device.processId() == null ? "-" : device.processId().toString());
    }
    table.print(out);
    return ExitCodes.OK;
  }
}
