package io.plinth.log.format;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;

/**
 * Stored bytes as hexadecimal text: lines of {@code offset: byte byte ...}; bytes that no line
 * names are zero.
 */
public final class GoldenFile {
  private GoldenFile() {}

  /** Returns the bytes of a file. */
  public static byte[] read(String name) throws IOException {
    byte[] bytes = new byte[0];
    try (InputStream in = GoldenFile.class.getResourceAsStream("/golden/" + name);
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("#")) {
          continue;
        }
        int colon = line.indexOf(':');
        int at = Integer.parseInt(line.substring(0, colon), 16);
        String digits = line.substring(colon + 1).replace(" ", "");
        bytes = Arrays.copyOf(bytes, at + digits.length() / 2);
        for (int i = 0; i < digits.length(); i += 2) {
          bytes[at + i / 2] = (byte) Integer.parseInt(digits, i, i + 2, 16);
        }
      }
    }
    return bytes;
  }

  /** Returns bytes as such a file has them; lines of zeroes are left out, but for the last. */
  public static String text(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (int start = 0; start < bytes.length; start += 16) {
      byte[] line = Arrays.copyOfRange(bytes, start, Math.min(start + 16, bytes.length));
      if (start + 16 < bytes.length && Arrays.equals(line, new byte[16])) {
        continue;
      }
      text.append(String.format(Locale.ROOT, "%04x:", start));
      for (byte b : line) {
        text.append(String.format(Locale.ROOT, " %02x", b));
      }
      text.append('\n');
    }
    return text.toString();
  }
}
