package io.plinth.target.security;

import io.plinth.target.volume.VolumeSettings;
import java.security.Principal;

/**
 * A client that has proved to know a pre-shared key.
 *
 * @param identity the name of that key
 */
record PskClient(String identity) implements Principal {
  @Override
  public String getName() {
    return VolumeSettings.PSK_PREFIX + identity;
  }
}
