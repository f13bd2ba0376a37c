package io.plinth.tools.cli;

import io.plinth.target.main.Version;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth version}. */
@Command(
    name = "version",
    description = "Show the version of this command and of the Java it runs on.",
    footer = {"", "Examples:", "  plinth version", "  plinth version --json"})
final class VersionCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    String java = Runtime.version().toString();
    if (json) {
      ObjectNode document = Json.object();
      document.put("version", Version.current());
      document.put("java", java);
      out.println(Json.pretty(document));
    } else {
      out.println("plinth " + Version.current() + " (Java " + java + ")");
    }
    return ExitCodes.OK;
  }
}
