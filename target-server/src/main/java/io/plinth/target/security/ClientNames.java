package io.plinth.target.security;

import io.plinth.target.volume.VolumeSettings;
import java.security.Principal;
import java.util.List;
import javax.security.auth.x500.X500Principal;

/** Judges clients by what they have proved to be. */
public final class ClientNames {
  private static final String PSK_PREFIX = VolumeSettings.PSK_PREFIX;

  private ClientNames() {}

  /**
   * Returns whether a client is among those of a list.
   *
   * @param peer null for one that has proved nothing
   * @param names distinguished names, compared as X.500 has it: neither case nor spaces count; or
   *     {@code psk:} with an identity
   */
  public static boolean contains(List<String> names, Principal peer) {
    return switch (peer) {
      case null -> false;
      case PskClient psk -> names.contains(psk.getName());
      default -> names.stream().anyMatch(name -> isName(name, peer));
    };
  }

  private static boolean isName(String name, Principal peer) {
    return !name.startsWith(PSK_PREFIX) && new X500Principal(name).equals(peer);
  }
}
