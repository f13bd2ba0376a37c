package io.plinth.tools.conformance;

import java.io.IOException;

/**
 * What only whoever runs the server can provide, for the rules that can't be judged without it.
 * Whatever is null is not there.
 *
 * @param failing an export whose READs of the first blocks fail
 * @param forcedTls an export of a server that forces TLS
 * @param selectiveTls an export that is served with TLS and without, of a server where others need
 *     it
 * @param tlsExport the name of an export that needs TLS, on the server of {@code selectiveTls}, or
 *     else on the one that is judged
 * @param stop asks the server that is judged to stop
 */
public record Means(
    NbdUri failing, NbdUri forcedTls, NbdUri selectiveTls, String tlsExport, Stop stop) {
  /** Nothing. */
  public static final Means NONE = new Means(null, null, null, null, null);

  /** A way to stop a server. */
  @FunctionalInterface
  public interface Stop {
    /**
     * Asks it to stop; may return before it has.
     *
     * @throws IOException when it can't be asked, with one line that says why
     */
    void ask() throws IOException;
  }
}
