package io.plinth.target.volume;

import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * A change of some of a volume's settings.
 *
 * @param keys what is changed
 * @param values what it becomes; a default unsets it
 */
public record SettingsChange(Set<Key> keys, VolumeSettings values) {
  /** One of the settings. */
  public enum Key {
    /** See {@link VolumeSettings#description}. */
    DESCRIPTION,
    /** See {@link VolumeSettings#tls}. */
    TLS,
    /** See {@link VolumeSettings#tlsAllow}. */
    TLS_ALLOW;

    /** Returns the word used in configuration, on the command line and in JSON. */
    public String word() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Returns the words of all settings. */
    public static List<String> words() {
      return List.of(values()).stream().map(Key::word).toList();
    }

    /**
     * Reads the word.
     *
     * @throws IllegalArgumentException with a one-line message naming all words
     */
    public static Key parse(String text) {
      for (Key key : values()) {
        if (key.word().equals(text)) {
          return key;
        }
      }
      throw new IllegalArgumentException(
          "unknown setting \"" + text + "\": expected " + String.join(", ", words()));
    }
  }

  /** Copies the set. */
  public SettingsChange {
    EnumSet<Key> copy = EnumSet.noneOf(Key.class);
    copy.addAll(keys);
    keys = Collections.unmodifiableSet(copy);
  }

  /** Returns what settings become. */
  public VolumeSettings applyTo(VolumeSettings before) {
    return new VolumeSettings(
        from(Key.DESCRIPTION, before).description(),
        from(Key.TLS, before).tls(),
        from(Key.TLS_ALLOW, before).tlsAllow());
  }

  private VolumeSettings from(Key key, VolumeSettings before) {
    return keys.contains(key) ? values : before;
  }
}
