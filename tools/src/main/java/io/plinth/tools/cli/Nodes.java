package io.plinth.tools.cli;

import io.plinth.target.admin.NodesInfo;
import java.io.PrintWriter;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What the commands about nodes have in common. */
final class Nodes {
  private Nodes() {}

  static String path(int node, String what) {
    return "/v1/nodes/" + node + "/" + what;
  }

  static NodesInfo read(JsonNode answer) {
    return Json.convert(answer, NodesInfo.class);
  }

  /** Returns how the nodes are, as the leader of the catalogue says; null when nobody does. */
  static NodesInfo ask(ClientOptions options) {
    try {
      return read(options.client().get("/v1/nodes"));
    } catch (CliException e) {
      return null;
    }
  }

  /** Prints all nodes, the words below each, and what is on its way. */
  static void print(NodesInfo info, PrintWriter out) {
    Table table = new Table("llrl", "NODE", "STATE", "REPLICAS", "");
    for (NodesInfo.NodeState node : info.nodes()) {
      String first = node.words().isEmpty() ? "" : node.words().get(0);
      table.row(
          Integer.toString(node.node()), node.state(), Integer.toString(node.replicas()), first);
      node.words().stream().skip(1).forEach(line -> table.row("", "", "", line));
    }
    table.print(out);
    info.moves().forEach(line -> out.println("moves: " + line));
  }

  static NodesInfo.NodeState find(NodesInfo info, int node) {
    Optional<NodesInfo.NodeState> found =
        info.nodes().stream().filter(one -> one.node() == node).findFirst();
    return found.orElseThrow(
        () -> new CliException(ExitCodes.FAILED, "not_found", "there is no node " + node, null));
  }

  /** Decides something about a node, and prints what follows from that. */
  static int change(ClientOptions options, int node, String what, ObjectNode body, String done) {
    JsonNode answer = options.client().post(path(node, what), body);
    NodesInfo.Outcome outcome = Json.convert(answer, NodesInfo.Outcome.class);
    options.print(
        answer,
        out -> {
          out.println(done);
          outcome.lines().forEach(out::println);
        });
    return ExitCodes.OK;
  }
}
