package io.plinth.tools.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code plinth node}: only its help. */
@Command(
    name = "node",
    description = {
      "The nodes of a cluster: how they are, and what is to become of them. A node that is not heard",
      "for long enough is given up by itself: its replicas are rebuilt on other nodes."
    },
    footer = {"", "Examples:", "  plinth node list", "  plinth node drain 3 --wait"})
final class NodeCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: list, show, drain, undrain, replace or remove");
  }
}
