package io.plinth.tools.cli;

/** What the process ends with. The same everywhere, and told in every help. */
final class ExitCodes {
  static final int OK = 0;
  static final int FAILED = 1;
  static final int USAGE = 2;
  static final int UNREACHABLE = 3;

  private ExitCodes() {}
}
