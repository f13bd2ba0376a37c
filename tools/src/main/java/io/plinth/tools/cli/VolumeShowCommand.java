package io.plinth.tools.cli;

import io.plinth.target.admin.HistoryInfo;
import io.plinth.target.admin.ReplicasInfo;
import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import java.io.PrintWriter;
import java.time.Instant;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** {@code plinth volume show}. */
@Command(
    name = "show",
    description = {
      "Show one volume. Of what is mapped, UNIQUE is what deleting the volume alone gives back;",
      "snapshots and clones refer to what is SHARED. It is counted while you wait; volumes that are",
      "written meanwhile make it 'about'."
    },
    footer = {"", "Examples:", "  plinth volume show demo", "  plinth volume show demo --json"})
final class VolumeShowCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "NAME", description = "The volume.")
  private String name;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get(AdminClient.volume(name) + "?space=true");
    VolumeInfo volume = Json.convert(answer, VolumeInfo.class);
    options.print(answer, out -> print(volume, out));
    return ExitCodes.OK;
  }

  private static void print(VolumeInfo volume, PrintWriter out) {
    Table table = new Table("ll", "name", volume.name());
    if (volume.description() != null) {
      table.row("description", volume.description());
    }
    table.row("id", Long.toString(volume.id()));
    table.row("size", size(volume.sizeBytes()));
    table.row(
        "mapped",
        volume.mappedBytes() == null
            ? "ask a node that has a replica"
            : size(volume.mappedBytes()));
    if (volume.space() != null) {
      String about = volume.space().exact() ? "" : "about ";
      table.row("unique", about + size(volume.space().uniqueBytes()));
      table.row("shared", about + size(volume.space().sharedBytes()));
    }
    table.row("snapshots", Integer.toString(volume.snapshots()));
    table.row("clients", Integer.toString(volume.connections()));
    table.row("flush policy", volume.flushPolicy().word());
    table.row("tls", volume.tls() == null ? "as the server has it" : volume.tls().word());
    for (int i = 0; i < volume.tlsAllow().size(); i++) {
      table.row(i == 0 ? "tls-allow" : "", volume.tlsAllow().get(i));
    }
    if (volume.replicas() != null) {
      table.row("replicas", replicas(volume.replicas()));
      Integer leader = volume.replicas().leader();
      table.row("leader", leader == null ? "none is known" : "node " + leader);
      volume.replicas().resyncs().forEach(line -> table.row("", line));
    }
    table.row("core", Integer.toString(volume.core()));
    table.row("epoch", Long.toString(volume.epoch()));
    table.row("restorable", restorable(volume.history()));
    table.row("corrupt reads", Long.toString(volume.corruptReads()));
    table.print(out);
  }

  private static String replicas(ReplicasInfo replicas) {
    StringJoiner all = new StringJoiner(", ");
    for (int i = 0; i < replicas.nodes().size(); i++) {
      long behind = replicas.behind() == null ? 0 : replicas.behind().get(i);
      all.add(
          "node "
              + replicas.nodes().get(i)
              + (behind == 0 ? "" : " (" + behind + " entries behind)"));
    }
    return all.toString();
  }

  private static String restorable(HistoryInfo history) {
    return history == null
        ? "no: take a snapshot, or set log.retention"
        : "since "
            + Instant.ofEpochMilli(history.fromMs())
            + ", log position "
            + history.fromPosition()
            + " of "
            + history.position();
  }

  private static String size(long bytes) {
    return bytes < 1024 ? Sizes.format(bytes) : Sizes.format(bytes) + " (" + bytes + " bytes)";
  }
}
