package io.plinth.tools.attach;

/** What keeps a volume from being attached, in one line. */
public final class AttachException extends Exception {
  private static final long serialVersionUID = 1L;

  /** What kind of failure it is; the word is for programs. */
  public enum Kind {
    UNREACHABLE("unreachable"),
    NOT_FOUND("not_found"),
    REFUSED("refused"),
    BUSY("busy"),
    NOT_ALLOWED("not_allowed"),
    NO_MODULE("no_module"),
    LOST("lost"),
    FAILED("failed");

    private final String word;

    Kind(String word) {
      this.word = word;
    }

    /** Returns the word for programs. */
    public String word() {
      return word;
    }
  }

  private final Kind kind;

  AttachException(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  AttachException(Kind kind, String message, Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  /** Returns what kind of failure it is. */
  public Kind kind() {
    return kind;
  }
}
