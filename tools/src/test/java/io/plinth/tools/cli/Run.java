package io.plinth.tools.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Map;

/** What one run of the command did. */
record Run(int exitCode, String out, String err) {
  static Run of(String... args) {
    return of(Map.of(), config -> failing(), args);
  }

  static Run of(Map<String, String> environment, RunningServer.Starter starter, String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int exitCode =
        PlinthCommand.commandLine(
                new PrintWriter(out, true), new PrintWriter(err, true), environment, starter)
            .execute(args);
    return new Run(exitCode, out.toString(), err.toString());
  }

  private static RunningServer failing() {
    throw new IllegalStateException("no server in this test");
  }
}
