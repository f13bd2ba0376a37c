package io.plinth.tools.cli;

import io.plinth.tools.conformance.Conformance;
import io.plinth.tools.conformance.ConformanceReport;
import io.plinth.tools.conformance.Means;
import io.plinth.tools.conformance.NbdUri;
import io.plinth.tools.conformance.Options;
import io.plinth.tools.conformance.Result;
import java.io.File;
import java.io.IOException;
import java.io.InterruptedIOException;
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
      "  plinth conformance nbd --uri nbd://127.0.0.1:10809/scratch --write --stop-command 'kill 4711'",
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
        "client-cert.pem, client-key.pem), tls-hostname=NAME, tls-verify-peer=0; or with a key:",
        "nbds://IDENTITY@HOST/EXPORT?tls-psk-file=FILE."
      })
  private String uri;

  @Option(
      names = "--failing-uri",
      paramLabel = "URI",
      description = "An export, of the same make, whose READs at its beginning fail (R5, R6).")
  private String failingUri;

  @Option(
      names = "--forced-tls-uri",
      paramLabel = "URI",
      description = "A server of the same make that forces TLS, as nbds:// (T2, T4, T5, T6).")
  private String forcedTlsUri;

  @Option(
      names = "--selective-tls-uri",
      paramLabel = "URI",
      description = {
        "A server of the same make that has TLS and does not force it, as nbds://, with an export that",
        "is served without TLS too (T3, T4, T5, T6)."
      })
  private String selectiveTlsUri;

  @Option(
      names = "--tls-export",
      paramLabel = "NAME",
      description = {
        "An export that needs TLS, on the server of --selective-tls-uri, or without that on the server",
        "of --uri (T3)."
      })
  private String tlsExport;

  @Option(
      names = "--stop-command",
      paramLabel = "COMMAND",
      description = {
        "For sh -c: asks the server to stop, as SIGTERM does. It is run once, by the last check (E5);",
        "without it the server is left running."
      })
  private String stopCommand;

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
      conformance = new Conformance(new Options(server, write, timeoutMs, means()), only);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    try {
      return conformance.run(id -> {});
    } catch (IOException e) {
      throw new CliException(ExitCodes.UNREACHABLE, "unreachable", e.getMessage(), e);
    }
  }

  private Means means() {
    return new Means(
        parse("--failing-uri", failingUri, false),
        parse("--forced-tls-uri", forcedTlsUri, true),
        parse("--selective-tls-uri", selectiveTlsUri, true),
        tlsExport,
        stopCommand == null ? null : () -> runStopCommand(stopCommand, timeoutSeconds));
  }

  private static NbdUri parse(String option, String uri, boolean tls) {
    if (uri == null) {
      return null;
    }
    try {
      NbdUri parsed = NbdUri.parse(uri);
      if (tls && !parsed.tls()) {
        throw new IllegalArgumentException(
            "a URI with nbds:// or nbds+unix:// is wanted, not " + uri);
      }
      return parsed;
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("option " + option + ": " + e.getMessage(), e);
    }
  }

  private static void runStopCommand(String command, int seconds) throws IOException {
    Process process =
        new ProcessBuilder("sh", "-c", command)
            .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
        throw new IOException("did not end within " + seconds + " s");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("was interrupted");
    } finally {
      process.destroy();
    }
    if (process.exitValue() != 0) {
      throw new IOException("ended with " + process.exitValue());
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
