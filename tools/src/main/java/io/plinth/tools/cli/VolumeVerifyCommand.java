package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VerifyInfo;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** {@code plinth volume verify}. */
@Command(
    name = "verify",
    description = {
      "Prove that all replicas of a volume hold the same, snapshots included, while clients write:",
      "all of them are compared as of one moment, by SHA-256 over ranges of 1.75 MiB.",
      "The exit code is 0 when all are equal, and 1 when any differs or could not be compared.",
      "With --json each line is a document; the last one is the result."
    },
    footer = {"", "Examples:", "  plinth volume verify demo", "  plinth volume verify demo --json"})
final class VolumeVerifyCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Override
  public Integer call() {
    String path = AdminClient.volume(volume, "verify");
    JsonNode answer = options.client().post(path, Json.object());
    VerifyInfo info = Json.convert(answer, VerifyInfo.class);
    int shown = -1;
    while (info.state() == VerifyInfo.State.RUNNING) {
      int percent = percent(info);
      if (percent != shown) {
        shown = percent;
        options
            .out()
            .println(
                options.isJson()
                    ? Json.oneLine(answer)
                    : percent + "%, " + Sizes.format(info.readBytes()) + " read on each node");
        options.out().flush();
      }
      Progress.pause();
      answer = options.client().get(path);
      info = Json.convert(answer, VerifyInfo.class);
    }
    if (options.isJson()) {
      options.out().println(Json.oneLine(answer));
    } else {
      print(info, options.out());
    }
    options.out().flush();
    return info.state() == VerifyInfo.State.EQUAL ? ExitCodes.OK : ExitCodes.FAILED;
  }

  private static int percent(VerifyInfo info) {
    return info.sizeBytes() == 0 ? 100 : (int) (info.doneBytes() * 100.0 / info.sizeBytes());
  }

  private static void print(VerifyInfo info, PrintWriter out) {
    String read =
        String.format(
            Locale.ROOT,
            "%d ranges, %s, %.1f s, as of entry %s",
            info.ranges(),
            Sizes.format(info.readBytes()),
            info.elapsedMs() / 1000.0,
            info.entry());
    String nodes =
        info.nodes().stream()
            .filter(VerifyInfo.Replica::verified)
            .map(replica -> Integer.toString(replica.node()))
            .collect(Collectors.joining(", "));
    switch (info.state()) {
      case EQUAL -> out.println("equal: nodes " + nodes + "; " + read);
      case INCOMPLETE -> out.println("not verified: " + read + "; nodes that are equal: " + nodes);
      case DIFFERENT ->
          out.println(
              "different: "
                  + info.differentRanges()
                  + " ranges, damaged blocks: "
                  + info.damagedBlocks()
                  + "; "
                  + read);
      default -> out.println("failed: " + info.problem());
    }
    for (VerifyInfo.Replica replica : info.nodes()) {
      if (replica.problem() != null) {
        out.println("node " + replica.node() + " is not verified: " + replica.problem());
      }
    }
    for (VerifyInfo.Difference difference : info.differences()) {
      out.println(
          "differs on node "
              + difference.nodes().stream().map(String::valueOf).collect(Collectors.joining(", "))
              + ": "
              + name(info, difference.snapshot())
              + " offset "
              + difference.offset()
              + " length "
              + difference.length());
    }
    for (VerifyInfo.Damage damage : info.damages()) {
      out.println(
          "damaged on node "
              + damage.node()
              + ": "
              + name(info, damage.snapshot())
              + " offset "
              + damage.offset()
              + ", blocks: "
              + damage.blocks());
    }
  }

  private static String name(VerifyInfo info, String snapshot) {
    return snapshot == null ? info.volume() : info.volume() + "@" + snapshot;
  }
}
