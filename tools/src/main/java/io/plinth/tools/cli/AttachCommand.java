package io.plinth.tools.cli;

import io.plinth.target.main.ListenAddress;
import io.plinth.tools.attach.AttachEvent;
import io.plinth.tools.attach.AttachException;
import io.plinth.tools.attach.AttachSettings;
import io.plinth.tools.attach.Attachment;
import io.plinth.tools.attach.BlockDevices;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth attach}. */
@Command(
    name = "attach",
    description = {
      "Attach a volume to a device of this machine's kernel, and stay to put new connections in the",
      "place of lost ones; requests wait meanwhile. SIGTERM or SIGINT flush, detach and end with 0.",
      "Needs root and the module nbd."
    },
    footer = {
      "",
      "Examples:",
      "  plinth attach demo /dev/nbd0",
      "  plinth attach demo /dev/nbd0 --server 10.0.0.1:10809 --server 10.0.0.2:10809",
      "  plinth attach demo@monday /dev/nbd1 --unix /run/plinth.sock --once"
    })
final class AttachCommand implements Callable<Integer> {
  private static final int MAX_VOLUME_CHARACTERS = 255;
  private static final int MAX_CONNECTIONS = 16;

  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "VOLUME",
      description = "The volume, or a snapshot as VOLUME@SNAPSHOT.")
  private String volume;

  @Parameters(index = "1", paramLabel = "DEVICE", description = "Such as /dev/nbd0.")
  private String device;

  @Option(
      names = "--server",
      paramLabel = "HOST:PORT",
      description =
          "Where the volume is served (default: 127.0.0.1:10809). Repeatable: tried in this order.")
  private List<String> servers = List.of();

  @Option(
      names = "--unix",
      paramLabel = "PATH",
      description = "The server's unix socket. Repeatable: tried after --server.")
  private List<String> unix = List.of();

  @Option(
      names = "--connections",
      paramLabel = "N",
      defaultValue = "1",
      description = "Connections to the server, 1 to 16 (default: ${DEFAULT-VALUE}).")
  private int connections;

  @Option(
      names = "--dead-timeout",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description =
          "For how long requests wait for a new connection before they fail and the device is"
              + " detached, 1 to 86400 (default: ${DEFAULT-VALUE}).")
  private long deadTimeoutS;

  @Option(
      names = "--keep",
      description =
          "Leave the device attached at the end; the next attach of the volume takes it over.")
  private boolean keep;

  @Option(
      names = "--once",
      description = "Attach and end; a lost connection is not replaced by anybody.")
  private boolean once;

  @Option(names = "--json", description = "Write each event as a line of JSON.")
  private boolean json;

  @Override
  public Integer call() {
    AttachSettings settings = settings();
    Attachment attachment = null;
    try {
      attachment = Attachment.open(settings, this::print);
      attachment.attach();
      if (once) {
        return ExitCodes.OK;
      }
      StopOnSignal stop = new StopOnSignal(attachment::stop, spec.commandLine().getErr());
      stop.install();
      try {
        attachment.run();
      } catch (AttachException e) {
        if (stop.isStopping()) {
          // Whoever stops it says why it did not detach, and ends the process.
          return ExitCodes.FAILED;
        }
        stop.disarm();
        throw e;
      }
      if (!stop.isStopping()) {
        stop.disarm();
      }
      return ExitCodes.OK;
    } catch (AttachException e) {
      throw failure(e);
    } finally {
      if (attachment != null) {
        attachment.close();
      }
    }
  }

  static CliException failure(AttachException e) {
    int exitCode =
        e.kind() == AttachException.Kind.UNREACHABLE ? ExitCodes.UNREACHABLE : ExitCodes.FAILED;
    return new CliException(exitCode, e.kind().word(), e.getMessage(), e);
  }

  private AttachSettings settings() {
    try {
      if (volume.isEmpty() || volume.length() > MAX_VOLUME_CHARACTERS) {
        throw new IllegalArgumentException("a volume's name has 1 to 255 characters");
      }
      if (connections < 1 || connections > MAX_CONNECTIONS) {
        throw new IllegalArgumentException("option --connections: expected 1 to 16");
      }
      if (deadTimeoutS < 1 || deadTimeoutS > 86_400) {
        throw new IllegalArgumentException("option --dead-timeout: expected 1 to 86400 seconds");
      }
      List<String> all = new ArrayList<>();
      for (String server : servers) {
        all.add(ListenAddress.parse(server).toString());
      }
      for (String path : unix) {
        if (path.isEmpty() || path.length() > 107) {
          throw new IllegalArgumentException("option --unix: a path has 1 to 107 bytes");
        }
        all.add("unix:" + path);
      }
      if (all.isEmpty()) {
        all.add("127.0.0.1:10809");
      }
      return new AttachSettings(
          volume, BlockDevices.index(device), all, connections, deadTimeoutS, keep);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
  }

  private void print(AttachEvent event) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      ObjectNode document = Json.object();
      document.put("event", event.name());
      document.put("message", event.message());
      out.println(Json.oneLine(document));
    } else {
      out.println(event.message());
    }
    out.flush();
  }
}
