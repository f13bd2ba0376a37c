package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth cluster}: only its help. */
@Command(
    name = "cluster",
    description = {
      "A cluster keeps each volume on several nodes, so that any of them may die. Its nodes are those",
      "that [cluster] in the configuration of each of them names, and those that have joined since."
    },
    footer = {
      "",
      "Examples:",
      "  plinth cluster status",
      "  plinth cluster join --node 4=10.0.0.4:10830"
    })
final class ClusterCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing: init, join or status");
  }
}
