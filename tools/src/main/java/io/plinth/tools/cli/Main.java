package io.plinth.tools.cli;

import java.io.PrintWriter;

/** Entry point of the {@code plinth} command. */
public final class Main {
  private Main() {}

  /** Runs the command in {@code args} and ends the process with its exit code. */
  public static void main(String[] args) {
    PrintWriter out = new PrintWriter(System.out, true, System.out.charset());
    PrintWriter err = new PrintWriter(System.err, true, System.err.charset());
    int exitCode = ExitCodes.FAILED;
    try {
      exitCode =
          PlinthCommand.commandLine(out, err, System.getenv(), RunningServer::start).execute(args);
    } catch (Error e) {
      // A missing native library or too little memory: still one line for a person.
      err.println("plinth: internal error: " + e + " (PLINTH_DEBUG=1 shows where)");
      if ("1".equals(System.getenv("PLINTH_DEBUG"))) {
        e.printStackTrace(err);
      }
    }
    out.flush();
    err.flush();
    Processes.exit(exitCode);
  }
}
