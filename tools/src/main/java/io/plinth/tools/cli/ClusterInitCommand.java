package io.plinth.tools.cli;

import io.plinth.target.main.ServerConfig;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth cluster init}. */
@Command(
    name = "init",
    description = {
      "Write the configuration of one of the nodes that a new cluster begins with, and say what to do",
      "next. All of these nodes name all of them; others join later with 'plinth cluster join'."
    },
    footer = {
      "",
      "Examples:",
      "  plinth cluster init --name lab --self 1 --node 1=10.0.0.1:10830,rack=a \\",
      "      --node 2=10.0.0.2:10830,rack=b --node 3=10.0.0.3:10830,rack=c"
    })
final class ClusterInitCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(names = "--name", required = true, paramLabel = "NAME", description = "The cluster's.")
  private String name;

  @Option(
      names = "--self",
      required = true,
      paramLabel = "NUMBER",
      description = "Which of the nodes this machine is.")
  private int self;

  @Option(
      names = "--node",
      required = true,
      paramLabel = "NUMBER=HOST:PORT[,admin=HOST:PORT][,rack=NAME]",
      description = "A node of the cluster, this one among them. Repeatable.")
  private List<String> nodes = List.of();

  @Option(
      names = "--cores",
      paramLabel = "N",
      description = "Engine threads, as many on all nodes (default: half of the processors).")
  private int cores = ServerConfig.defaultCores();

  @Option(
      names = "--config",
      paramLabel = "FILE",
      defaultValue = "plinth.toml",
      description = "The file to write (default: ${DEFAULT-VALUE}).")
  private Path config;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    List<NodeText> members = nodes.stream().map(NodeText::parse).toList();
    NodeText own =
        members.stream()
            .filter(node -> node.number() == self)
            .findFirst()
            .orElseThrow(
                () -> CliException.usage("--self " + self + " is none of the given nodes", null));
    String text = NodeText.configuration(name, own, members, cores, false);
    NodeConfigFile.write(config, text);
    List<String> next = new ArrayList<>();
    next.add("plinth serve --config " + config);
    for (NodeText node : members) {
      if (node.number() != self) {
        next.add(
            "on node "
                + node.number()
                + ": the same command with --self "
                + node.number()
                + ", then plinth serve");
      }
    }
    next.add("plinth cluster status --admin " + own.admin());
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      ObjectNode document = Json.object();
      document.put("config", config.toString());
      document.set("next", Json.tree(next));
      out.println(Json.pretty(document));
    } else {
      out.println(config + " is that of node " + self + " of cluster " + name + "; next:");
      next.forEach(line -> out.println("  " + line));
    }
    return ExitCodes.OK;
  }
}
