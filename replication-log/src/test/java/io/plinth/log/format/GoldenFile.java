package io.plinth.log.format;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Stored bytes as hexadecimal text: lines of {@code offset: byte byte ...}; bytes that no line
 * names are zero.
 */
final class GoldenFile {
  private GoldenFile() {}

  static byte[] read(String name) throws IOException {
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
}
