package io.plinth.target.volume;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import javax.security.auth.x500.X500Principal;

/**
 * What can be changed about a volume while it is in use; an instance is always valid. Encoded
 * little-endian:
 *
 * <pre>
 *  u8 tls (0 unset, 1 off, 2 allowed, 3 required), u16 length, description,
 *  u16 names, each: u16 length, name
 * </pre>
 *
 * All text is UTF-8.
 *
 * @param description for people; empty for none
 * @param tls whether clients encrypt; empty for what the server does unless told
 * @param tlsAllow distinguished names of the clients that may attach, or {@code psk:} and the
 *     identity of a pre-shared key; TLS is then required; empty for all
 */
public record VolumeSettings(String description, Optional<TlsMode> tls, List<String> tlsAllow) {
  /** The longest description, in bytes of UTF-8. */
  public static final int MAXIMUM_DESCRIPTION_BYTES = 1024;

  /** In front of the identity of a client with a pre-shared key, in {@code tls-allow}. */
  public static final String PSK_PREFIX = "psk:";

  /** The most names in {@code tls-allow}. */
  public static final int MAXIMUM_NAMES = 64;

  /** The longest name in {@code tls-allow}, in bytes of UTF-8. */
  public static final int MAXIMUM_NAME_BYTES = 512;

  /** Nothing is set. */
  public static final VolumeSettings DEFAULT = new VolumeSettings("", Optional.empty(), List.of());

  /**
   * Checks everything.
   *
   * @throws IllegalArgumentException with a one-line message that says what was expected
   */
  public VolumeSettings {
    Objects.requireNonNull(tls, "tls");
    tlsAllow = List.copyOf(tlsAllow);
    checkText("description", description, MAXIMUM_DESCRIPTION_BYTES);
    if (tlsAllow.size() > MAXIMUM_NAMES) {
      throw new IllegalArgumentException(
          "bad tls-allow: expected at most " + MAXIMUM_NAMES + " names, not " + tlsAllow.size());
    }
    for (int i = 0; i < tlsAllow.size(); i++) {
      checkName("name " + (i + 1) + " in tls-allow", tlsAllow.get(i));
    }
  }

  /** Returns what a copy of the volume begins with: it is not less protected than its source. */
  public VolumeSettings ofCopy() {
    return new VolumeSettings("", tls, tlsAllow);
  }

  /** Returns how long {@link #encode} is. */
  public int encodedBytes() {
    return encode().length;
  }

  /** Encodes the settings. */
  public byte[] encode() {
    List<byte[]> texts = new ArrayList<>();
    texts.add(description.getBytes(StandardCharsets.UTF_8));
    tlsAllow.forEach(name -> texts.add(name.getBytes(StandardCharsets.UTF_8)));
    int bytes = 1 + Short.BYTES;
    for (byte[] text : texts) {
      bytes += Short.BYTES + text.length;
    }
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    buffer.put((byte) tls.map(TlsMode::code).orElse(0).intValue());
    putText(buffer, texts.get(0));
    buffer.putShort((short) tlsAllow.size());
    texts.subList(1, texts.size()).forEach(name -> putText(buffer, name));
    return buffer.array();
  }

  /**
   * Reads what {@link #encode} has written.
   *
   * @param buffer little-endian; its position moves behind the settings
   * @throws IllegalArgumentException when the bytes are no settings
   * @throws BufferUnderflowException when they are cut short
   */
  public static VolumeSettings decode(ByteBuffer buffer) {
    Optional<TlsMode> tls = TlsMode.ofCode(buffer.get());
    String description = text(buffer);
    int count = buffer.getShort() & 0xffff;
    List<String> names = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      names.add(text(buffer));
    }
    return new VolumeSettings(description, tls, names);
  }

  private static void putText(ByteBuffer buffer, byte[] text) {
    buffer.putShort((short) text.length).put(text);
  }

  private static String text(ByteBuffer buffer) {
    int length = buffer.getShort() & 0xffff;
    if (length > buffer.remaining()) {
      throw new BufferUnderflowException();
    }
    byte[] text = new byte[length];
    buffer.get(text);
    return new String(text, StandardCharsets.UTF_8);
  }

  private static void checkName(String what, String name) {
    checkText(what, name, MAXIMUM_NAME_BYTES);
    try {
      if (name.startsWith(PSK_PREFIX) && name.length() > PSK_PREFIX.length()) {
        return;
      }
      if (!name.isBlank()) {
        X500Principal _ = new X500Principal(name);
        return;
      }
    } catch (IllegalArgumentException e) {
      throw badName(what, e);
    }
    throw badName(what, null);
  }

  private static IllegalArgumentException badName(String what, Exception cause) {
    return new IllegalArgumentException(
        "bad "
            + what
            + ": expected a distinguished name such as \"CN=backup,O=Example\" or psk:IDENTITY",
        cause);
  }

  private static void checkText(String what, String text, int maximumBytes) {
    int control = 0;
    while (control < text.length() && !Character.isISOControl(text.charAt(control))) {
      control++;
    }
    if (control < text.length()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "bad %s: it has a control character, U+%04X",
              what,
              (int) text.charAt(control)));
    }
    int bytes;
    try {
      bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text)).remaining();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("bad " + what + ": it has half of a character", e);
    }
    if (bytes > maximumBytes) {
      throw new IllegalArgumentException(
          "bad " + what + ": expected at most " + maximumBytes + " bytes, not " + bytes);
    }
  }
}
