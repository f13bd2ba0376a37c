package io.plinth.tools.cli;

/** What the process ends with. The same everywhere, and told in every help. */
public final class ExitCodes {
  public static final int OK = 0;
  public static final int FAILED = 1;
  public static final int USAGE = 2;
  public static final int UNREACHABLE = 3;

  private ExitCodes() {}
}
