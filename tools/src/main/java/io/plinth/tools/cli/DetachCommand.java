package io.plinth.tools.cli;

import io.plinth.tools.attach.AttachException;
import io.plinth.tools.attach.BlockDevices;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth detach}. */
@Command(
    name = "detach",
    description = {
      "Flush a device and detach it from its volume, whoever attached it. A `plinth attach` that keeps",
      "it connected ends too. Needs root."
    },
    footer = {"", "Examples:", "  plinth detach /dev/nbd0", "  plinth detach /dev/nbd0 --force"})
final class DetachCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "DEVICE", description = "Such as /dev/nbd0.")
  private String device;

  @Option(
      names = "--force",
      description = "Also when it is mounted or its server is gone; what is not flushed is lost.")
  private boolean force;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    try {
      int index = BlockDevices.index(device);
      BlockDevices.detach(index, force);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    } catch (AttachException e) {
      throw AttachCommand.failure(e);
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      ObjectNode document = Json.object();
      document.put("detached", device);
      out.println(Json.pretty(document));
    } else {
      out.println("detached " + device);
    }
    return ExitCodes.OK;
  }
}
