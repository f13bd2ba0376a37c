package io.plinth.tools.cli;

import io.plinth.target.admin.ClusterInfo;
import io.plinth.target.admin.NodesInfo;
import io.plinth.target.main.ListenAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth cluster join}. */
@Command(
    name = "join",
    description = {
      "Admit a node to a running cluster, and show or write the configuration to start it with. It is",
      "'joining' until it has the catalogue, and then may get replicas. All other nodes must run."
    },
    footer = {
      "",
      "Examples:",
      "  plinth cluster join --admin 10.0.0.1:10810 --node 4=10.0.0.4:10830 --rack b",
      "  plinth cluster join --node 4=10.0.0.4:10830 --config plinth.toml    on the new machine"
    })
final class ClusterJoinCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Option(
      names = "--node",
      required = true,
      paramLabel = "NUMBER=HOST:PORT[,admin=HOST:PORT][,rack=NAME]",
      description = "The new node's number, and where the others are to reach it.")
  private String node;

  @Option(names = "--rack", paramLabel = "NAME", description = "What fails together with it.")
  private String rack;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Write the configuration to this file.")
  private Path config;

  @Override
  public Integer call() {
    NodeText given = NodeText.parse(node);
    NodeText joining = rack == null ? given : given.in(rack);
    ObjectNode body = Json.object();
    body.put("node", joining.number());
    body.put("address", joining.address().toString());
    body.put("admin", joining.admin().toString());
    body.put("rack", joining.rack());
    NodesInfo.Outcome outcome;
    try {
      outcome = Json.convert(options.client().post("/v1/nodes", body), NodesInfo.Outcome.class);
    } catch (CliException e) {
      if (!e.code().equals("wrong_method")) {
        throw e;
      }
      throw new CliException(
          ExitCodes.FAILED, e.code(), "the cluster is of a version that no node can join", e);
    }
    JsonNode answer = options.client().get("/v1/cluster");
    ClusterInfo cluster = Json.convert(answer, ClusterInfo.class);
    List<NodeText> named = new ArrayList<>();
    for (ClusterInfo.MemberInfo member : cluster.members()) {
      if (member.node() != joining.number()) {
        named.add(
            new NodeText(
                member.node(),
                ListenAddress.parse(member.address()),
                ListenAddress.parse(member.admin()),
                member.rack()));
      }
    }
    named.add(joining);
    String text = NodeText.configuration(cluster.name(), joining, named, cluster.cores(), true);
    if (config != null) {
      NodeConfigFile.write(config, text);
    }
    ObjectNode all = Json.object();
    all.put("node", joining.number());
    all.set("lines", Json.tree(outcome.lines()));
    all.put("config", text);
    options.print(
        all,
        out -> {
          out.println("node " + joining.number() + " is admitted to cluster " + cluster.name());
          outcome.lines().forEach(out::println);
          if (config == null) {
            out.println("start it with 'plinth serve --config plinth.toml' and this plinth.toml:");
            out.println();
            out.print(text);
          } else {
            out.println("start it with 'plinth serve --config " + config + "'");
          }
        });
    return ExitCodes.OK;
  }
}
