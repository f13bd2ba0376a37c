package io.plinth.target.security;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** Reads pre-shared keys; see {@link TlsFiles#preSharedKeys}. */
final class PskFile {
  /** A key that is shorter can be guessed: 128 bits. */
  static final int MINIMUM_KEY_BYTES = 16;

  static final int MAXIMUM_KEY_BYTES = 64;

  /** What the protocol's clients accept; an identity is a name for people. */
  static final int MAXIMUM_IDENTITY_BYTES = 128;

  private PskFile() {}

  /**
   * Returns the keys by their identity.
   *
   * @throws TlsFilesException when the file can't be read or a line is none
   */
  static Map<String, byte[]> read(Path file) throws TlsFilesException {
    List<String> lines;
    try {
      lines = Files.readAllLines(file, StandardCharsets.UTF_8);
    } catch (CharacterCodingException e) {
      throw new TlsFilesException("can't use " + file + ": it is not UTF-8 text", e);
    } catch (IOException e) {
      throw PemFiles.unreadable(file, e);
    }
    Map<String, byte[]> keys = new HashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).strip();
      if (line.isEmpty() || line.startsWith("#")) {
        continue;
      }
      String where = "can't use " + file + ", line " + (i + 1) + ": ";
      // A key has no colon, an identity may.
      int colon = line.lastIndexOf(':');
      if (colon <= 0) {
        throw new TlsFilesException(where + "expected IDENTITY:KEY-IN-HEXADECIMAL", null);
      }
      String identity = line.substring(0, colon);
      if (identity.getBytes(StandardCharsets.UTF_8).length > MAXIMUM_IDENTITY_BYTES) {
        throw new TlsFilesException(
            where + "the identity has more than " + MAXIMUM_IDENTITY_BYTES + " bytes", null);
      }
      if (keys.put(identity, key(where, line.substring(colon + 1))) != null) {
        throw new TlsFilesException(where + "identity '" + identity + "' is there twice", null);
      }
    }
    if (keys.isEmpty()) {
      throw new TlsFilesException("can't use " + file + ": there is no key in it", null);
    }
    return Map.copyOf(keys);
  }

  private static byte[] key(String where, String hex) throws TlsFilesException {
    byte[] key;
    try {
      key = HexFormat.of().parseHex(hex);
    } catch (IllegalArgumentException e) {
      // Not the cause's message, which may show a part of the key.
      throw new TlsFilesException(where + "the key is not hexadecimal", null);
    }
    if (key.length < MINIMUM_KEY_BYTES || key.length > MAXIMUM_KEY_BYTES) {
      throw new TlsFilesException(
          where
              + "expected a key of "
              + MINIMUM_KEY_BYTES
              + " to "
              + MAXIMUM_KEY_BYTES
              + " bytes, not "
              + key.length,
          null);
    }
    return key;
  }
}
