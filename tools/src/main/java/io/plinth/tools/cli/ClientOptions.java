package io.plinth.tools.cli;

import io.plinth.target.main.ListenAddress;
import java.io.PrintWriter;
import java.util.function.Consumer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;

/** What all commands share that speak to a running server. */
final class ClientOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--admin",
      paramLabel = "HOST:PORT",
      defaultValue = "127.0.0.1:10810",
      description = "Admin address of the server (default: ${DEFAULT-VALUE}).")
  private String admin;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  AdminClient client() {
    try {
      return new AdminClient(ListenAddress.parse(admin));
    } catch (IllegalArgumentException e) {
      throw CliException.usage("option --admin: " + e.getMessage(), e);
    }
  }

  boolean isJson() {
    return json;
  }

  PrintWriter out() {
    return command.commandLine().getOut();
  }

  /** Writes what the server answered, as it is or as {@code text} writes it. */
  void print(JsonNode answer, Consumer<PrintWriter> text) {
    PrintWriter out = out();
    if (json) {
      out.println(Json.pretty(answer));
    } else {
      text.accept(out);
    }
    out.flush();
  }
}
