package io.plinth.tools.cli;

import io.plinth.tools.conformance.Conformance;
import io.plinth.tools.conformance.ConformanceReport;
import io.plinth.tools.conformance.NbdUri;
import io.plinth.tools.conformance.Options;
import io.plinth.tools.conformance.Result;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code plinth conformance nbd}. */
@Command(
    name = "nbd",
    description = {
      "Ask a running NBD server of any make whether it keeps the rules of the protocol's text, one",
      "check for each rule. A rule fails when a server does what the text forbids; the detail begins",
      "with SHOULD where it only recommends. What a server does not offer is skipped. Ends with 1",
      "when any rule fails.",
      "",
      "WITH --write THE EXPORT IS OVERWRITTEN: give it one that nobody needs, of 64 MiB or more.",
      "Without it nothing is changed, and the rules about writing are skipped."
    },
    footer = {
      "",
      "Examples:",
      "  plinth conformance nbd --uri nbd://127.0.0.1:10809/scratch --write",
      "  plinth conformance nbd --uri 'nbd+unix:///scratch?socket=/run/nbd.sock' --only H,R4",
      "  plinth conformance nbd --uri 'nbds://host/scratch?tls-certificates=pki' --json",
      "  plinth conformance nbd --list"
    })
final class ConformanceNbdCommand implements Callable<Integer> {
  private static final int MOST_SECONDS = 3600;

  @Spec private CommandSpec spec;

  @Option(
      names = "--uri",
      paramLabel = "URI",
      description = {
        "Server and export: nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH, and nbds:// or",
        "nbds+unix:// with TLS. Parameters of those: tls-certificates=DIR (ca-cert.pem,",
        "client-cert.pem, client-key.pem), tls-hostname=NAME, tls-verify-peer=0."
      })
  private String uri;

  @Option(names = "--write", description = "Overwrite the export.")
  private boolean write;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "10",
      description = "How long one check may take (default: ${DEFAULT-VALUE}).")
  private int timeoutSeconds;

  @Option(
      names = "--only",
      paramLabel = "RULES",
      split = ",",
      description = "Rule ids or letters of groups, separated by commas.")
  private List<String> only = new ArrayList<>();

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = "Write the table, or the JSON, to a file as well.")
  private Path output;

  @Option(names = "--list", description = "List the rules and end.")
  private boolean list;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    if (list) {
      list(out);
      return ExitCodes.OK;
    }
    if (uri == null) {
      throw CliException.usage("option --uri is missing", null);
    }
    if (timeoutSeconds < 1 || timeoutSeconds > MOST_SECONDS) {
      throw CliException.usage(
          "option --timeout: " + timeoutSeconds + " is not between 1 and " + MOST_SECONDS, null);
    }
    ConformanceReport report = report();
    String text = json ? Json.pretty(Json.tree(report.document())) + "\n" : report.markdown();
    out.print(text);
    out.flush();
    if (output != null) {
      try {
        Path _ = Files.writeString(output, text);
      } catch (IOException e) {
        throw new CliException(ExitCodes.FAILED, "io", "option --output: can't write " + output, e);
      }
    }
    return report.count(Result.Outcome.FAIL) == 0 ? ExitCodes.OK : ExitCodes.FAILED;
  }

  private ConformanceReport report() {
    Conformance conformance;
    try {
      NbdUri server = NbdUri.parse(uri);
      long timeoutMs = TimeUnit.SECONDS.toMillis(timeoutSeconds);
      conformance = new Conformance(new Options(server, write, timeoutMs), only);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    try {
      return conformance.run(id -> {});
    } catch (IOException e) {
      throw new CliException(
          ExitCodes.UNREACHABLE, "unreachable", "cannot reach " + uri + ": " + e.getMessage(), e);
    }
  }

  private void list(PrintWriter out) {
    if (json) {
      out.println(Json.pretty(Json.tree(Conformance.rules())));
    } else {
      Table table = new Table("ll", "ID", "RULE");
      Conformance.rules().forEach(table::row);
      table.print(out);
    }
    out.flush();
  }
}
