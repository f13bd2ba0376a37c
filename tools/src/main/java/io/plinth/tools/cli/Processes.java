package io.plinth.tools.cli;

/** The only place that ends the process; the check of forbidden calls leaves this class out. */
public final class Processes {
  private Processes() {}

  /** Ends the process in the ordinary way, through the shutdown hooks. */
  public static void exit(int exitCode) {
    System.exit(exitCode);
  }

  /**
   * Ends the process from within a shutdown hook, where the ordinary way would wait for that hook.
   */
  static void halt(int exitCode) {
    Runtime.getRuntime().halt(exitCode);
  }
}
