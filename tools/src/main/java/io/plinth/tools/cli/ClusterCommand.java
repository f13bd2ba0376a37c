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
      "that [cluster] in the configuration of each of them names."
    },
    footer = {"", "Examples:", "  plinth cluster status", "  plinth cluster status --json"})
final class ClusterCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing: status");
  }
}
