package io.plinth.tools.cli;

/** A command that failed in a way a person can understand from one line. */
final class CliException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int exitCode;
  private final String code;

  /**
   * Ends the command.
   *
   * @param exitCode one of {@link ExitCodes}
   * @param code the word for programs, such as {@code not_found}
   * @param message one line, without a full stop
   */
  CliException(int exitCode, String code, String message, Throwable cause) {
    super(message, cause);
    this.exitCode = exitCode;
    this.code = code;
  }

  static CliException usage(String message, Throwable cause) {
    return new CliException(ExitCodes.USAGE, "usage", message, cause);
  }

  int exitCode() {
    return exitCode;
  }

  String code() {
    return code;
  }
}
