package io.plinth.tools.cli;

import io.plinth.target.admin.ClusterInfo;
import io.plinth.target.admin.NodesInfo;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth cluster status}. */
@Command(
    name = "status",
    description = "Show the nodes of a cluster as one of them sees it, and what follows from that.",
    footer = {
      "",
      "Examples:",
      "  plinth cluster status",
      "  plinth cluster status --admin 127.0.0.1:10922"
    })
final class ClusterStatusCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get("/v1/cluster");
    ClusterInfo cluster = Json.convert(answer, ClusterInfo.class);
    NodesInfo nodes = Nodes.ask(options);
    ObjectNode all = (ObjectNode) answer;
    if (nodes != null) {
      all.set("nodes", Json.tree(nodes.nodes()));
      all.set("moves", Json.tree(nodes.moves()));
    }
    options.print(
        all,
        out -> {
          print(cluster, out);
          out.println();
          if (nodes == null) {
            out.println("nobody leads the catalogue now who knows how the nodes are");
          } else {
            Nodes.print(nodes, out);
          }
        });
    return ExitCodes.OK;
  }

  private static void print(ClusterInfo cluster, PrintWriter out) {
    Table table = new Table("ll", "cluster", cluster.name());
    table.row("volumes", Integer.toString(cluster.volumes()));
    table.row("leader", cluster.leader() == null ? "none is known" : "node " + cluster.leader());
    if (cluster.voters().size() < cluster.members().size()) {
      table.row(
          "catalogue",
          "the nodes "
              + cluster.voters().stream().map(String::valueOf).collect(Collectors.joining(", "))
              + " vote; the others have it too");
    }
    for (String line : cluster.summary()) {
      table.row("state", line);
    }
    table.print(out);
    out.println();
    Table nodes = new Table("lllll", "NODE", "STATE", "PEERS AT", "ADMIN AT", "RACK");
    for (ClusterInfo.MemberInfo member : cluster.members()) {
      nodes.row(
          Integer.toString(member.node()),
          member.state() == ClusterInfo.State.SELF ? "asked" : member.state().word(),
          member.address(),
          member.admin(),
          member.rack().isEmpty() ? "-" : member.rack());
    }
    nodes.print(out);
  }
}
