package io.plinth.target.admin;

import java.util.Locale;

/** An administrative operation that was refused or failed. The message is one line for a person. */
public final class ControlException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Why, in the few ways a caller can tell apart. */
  public enum Kind {
    /** There is no such volume or snapshot. */
    NOT_FOUND(404),
    /** One of that name exists. */
    ALREADY_EXISTS(409),
    /** The request makes no sense. */
    INVALID(400),
    /** Clients are attached, or data would be lost. */
    IN_USE(409),
    /** The log has no room for it. */
    NO_SPACE(507),
    /** Another node is to be asked. */
    ELSEWHERE(307),
    /** The node starts, stops or has failed. */
    UNAVAILABLE(503);

    private final int httpStatus;

    Kind(int httpStatus) {
      this.httpStatus = httpStatus;
    }

    /** Returns the status that the admin API answers with. */
    public int httpStatus() {
      return httpStatus;
    }

    /** Returns the word used in JSON, such as {@code not_found}. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private final Kind kind;
  private final String location;

  /** A failure of that kind; {@code message} is one line for a person, without a full stop. */
  public ControlException(Kind kind, String message) {
    this(kind, message, null);
  }

  private ControlException(Kind kind, String message, String location) {
    super(message);
    this.kind = kind;
    this.location = location;
  }

  /** What was asked is to be asked of the admin API at {@code HOST:PORT}. */
  public static ControlException elsewhere(String message, String address) {
    return new ControlException(Kind.ELSEWHERE, message, address);
  }

  /** Returns the address to ask at, of ELSEWHERE. */
  String location() {
    return location;
  }

  /** Returns why. */
  public Kind kind() {
    return kind;
  }
}
