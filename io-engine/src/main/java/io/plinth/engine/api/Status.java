package io.plinth.engine.api;

/**
 * Results of operations: zero or a positive count on success, a negated Linux errno on failure,
 * exactly as io_uring reports them ({@code io_uring_enter(2)}).
 */
public final class Status {
  public static final int OK = 0;
  public static final int EPERM = -1;
  public static final int ENOENT = -2;
  public static final int EINTR = -4;
  public static final int EIO = -5;
  public static final int EAGAIN = -11;
  public static final int ENOMEM = -12;
  public static final int EACCES = -13;
  public static final int EFAULT = -14;
  public static final int EEXIST = -17;
  public static final int EINVAL = -22;
  public static final int EMFILE = -24;
  public static final int ENFILE = -23;
  public static final int ENOSPC = -28;
  public static final int EPIPE = -32;

  /** What was asked for is elsewhere: another node leads the group. */
  public static final int EREMOTE = -66;

  public static final int EPROTO = -71;
  public static final int EOVERFLOW = -75;
  public static final int ENOTSUP = -95;
  public static final int EADDRINUSE = -98;
  public static final int EADDRNOTAVAIL = -99;
  public static final int ENETUNREACH = -101;
  public static final int ECONNRESET = -104;
  public static final int ENOBUFS = -105;
  public static final int ESHUTDOWN = -108;
  public static final int ETIMEDOUT = -110;
  public static final int ECONNREFUSED = -111;
  public static final int EHOSTUNREACH = -113;

  /** Whether it has happened, or will, is not known: what was asked has lost the lead meanwhile. */
  public static final int ESTALE = -116;

  public static final int ECANCELED = -125;

  private Status() {}

  /** Returns whether {@code result} stands for a failure. */
  public static boolean isError(int result) {
    return result < 0;
  }

  /**
   * Returns the symbolic name of a failed result, such as {@code ENOSPC}, for messages to people.
   */
  public static String name(int result) {
    return switch (result) {
      case EPERM -> "EPERM";
      case ENOENT -> "ENOENT";
      case EINTR -> "EINTR";
      case EIO -> "EIO";
      case EAGAIN -> "EAGAIN";
      case ENOMEM -> "ENOMEM";
      case EACCES -> "EACCES";
      case EFAULT -> "EFAULT";
      case EEXIST -> "EEXIST";
      case EINVAL -> "EINVAL";
      case EMFILE -> "EMFILE";
      case ENFILE -> "ENFILE";
      case ENOSPC -> "ENOSPC";
      case EPIPE -> "EPIPE";
      case EREMOTE -> "EREMOTE";
      case EPROTO -> "EPROTO";
      case EOVERFLOW -> "EOVERFLOW";
      case ENOTSUP -> "ENOTSUP";
      case EADDRINUSE -> "EADDRINUSE";
      case EADDRNOTAVAIL -> "EADDRNOTAVAIL";
      case ENETUNREACH -> "ENETUNREACH";
      case ECONNRESET -> "ECONNRESET";
      case ENOBUFS -> "ENOBUFS";
      case ESHUTDOWN -> "ESHUTDOWN";
      case ETIMEDOUT -> "ETIMEDOUT";
      case ECONNREFUSED -> "ECONNREFUSED";
      case EHOSTUNREACH -> "EHOSTUNREACH";
      case ESTALE -> "ESTALE";
      case ECANCELED -> "ECANCELED";
      default -> result >= 0 ? "OK" : "errno " + -result;
    };
  }
}
