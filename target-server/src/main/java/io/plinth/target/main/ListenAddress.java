package io.plinth.target.main;

import java.util.Objects;

/**
 * A TCP address to listen on. Names are not resolved here.
 *
 * @param host a name or address, an IPv6 address without brackets
 * @param port 0 for any free one
 */
public record ListenAddress(String host, int port) {
  /** Checks the port's range. */
  public ListenAddress {
    Objects.requireNonNull(host, "host");
    if (port < 0 || port > 65_535) {
      throw new IllegalArgumentException("bad port " + port + ": expected 0 to 65535");
    }
  }

  /**
   * Reads {@code HOST:PORT} or {@code [IPV6]:PORT}.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static ListenAddress parse(String text) {
    int colon = text.lastIndexOf(':');
    String host = colon < 0 ? "" : text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      throw bad(text, null);
    }
    if (host.isBlank()) {
      throw bad(text, null);
    }
    try {
      int port = Integer.parseInt(text.substring(colon + 1));
      if (port >= 0 && port <= 65_535) {
        return new ListenAddress(host, port);
      }
      throw bad(text, null);
    } catch (NumberFormatException e) {
      throw bad(text, e);
    }
  }

  @Override
  public String toString() {
    return host.indexOf(':') >= 0 ? "[" + host + "]:" + port : host + ":" + port;
  }

  private static IllegalArgumentException bad(String text, Throwable cause) {
    return new IllegalArgumentException(
        "bad address \"" + text + "\": expected HOST:PORT, such as 127.0.0.1:10809 or [::1]:10809",
        cause);
  }
}
