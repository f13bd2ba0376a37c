package io.plinth.target.nbd;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.TlsException;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.security.Principal;
import java.util.List;

/**
 * How the NBD front end uses TLS.
 *
 * @param mode of volumes that have none of their own; {@link TlsMode#REQUIRED} is the text's
 *     FORCEDTLS, and no volume can ask for less; otherwise it is SELECTIVETLS
 * @param sessions makes the server's end for each client; null without TLS, which is the text's
 *     NOTLS
 * @param clients judges who a client has proved to be
 */
public record NbdTls(TlsMode mode, Sessions sessions, Clients clients) {
  /** There is no TLS, and volumes that need it can't be served. */
  public static final NbdTls NONE = new NbdTls(TlsMode.OFF, null, (names, peer) -> false);

  /** Makes sessions. */
  @FunctionalInterface
  public interface Sessions {
    /**
     * Makes one; does not wait.
     *
     * @throws TlsException when there can be none
     */
    Session newSession() throws TlsException;
  }

  /** The server's end of a session. */
  @FunctionalInterface
  public interface Session {
    /** Calls {@link Connection#startTls}. */
    void start(Connection connection);
  }

  /** Judges clients. */
  @FunctionalInterface
  public interface Clients {
    /** Returns whether a peer, null for one that has proved nothing, is among those of a list. */
    boolean contains(List<String> names, Principal peer);
  }

  boolean isAvailable() {
    return sessions != null;
  }

  /** Returns whether clients may do nothing before they encrypt. */
  boolean isForced() {
    return isAvailable() && mode == TlsMode.REQUIRED;
  }

  /**
   * Returns what holds for a volume. A list of the clients that may use it is worth nothing where a
   * client need not say who it is, so that it makes TLS required.
   */
  TlsMode modeOf(Volume volume) {
    VolumeSettings settings = volume.settings();
    if (isForced() || !settings.tlsAllow().isEmpty()) {
      return TlsMode.REQUIRED;
    }
    return settings.tls().orElse(mode);
  }

  /** Returns whether a client that has proved to be {@code peer} may use a volume. */
  boolean admits(Volume volume, Principal peer) {
    List<String> names = volume.settings().tlsAllow();
    return names.isEmpty() || clients.contains(names, peer);
  }
}
