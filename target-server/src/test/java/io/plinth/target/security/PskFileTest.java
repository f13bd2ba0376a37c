package io.plinth.target.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PskFileTest {
  private static final String KEY = "00112233445566778899aabbccddeeff";

  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("keys.psk");
  }

  private Map<String, byte[]> read(String text) throws Exception {
    Files.writeString(file, text);
    return PskFile.read(file);
  }

  /** No message may show a part of a key: messages go to logs. */
  private void assertFault(String text, String problem) {
    assertThatThrownBy(() -> read(text))
        .isInstanceOf(TlsFilesException.class)
        .hasMessage("can't use " + file + problem)
        .hasNoCause();
  }

  @Test
  void linesAreIdentitiesAndKeys() throws Exception {
    Map<String, byte[]> keys =
        read(
            "# who may connect\n\nalice:"
                + KEY
                + "\n  #bob:"
                + KEY
                + "\r\n  carol:"
                + KEY.repeat(4).toUpperCase(java.util.Locale.ROOT)
                + "  \nsite:host:"
                + KEY
                + "\n\u00e9:"
                + KEY);
    assertThat(keys).containsOnlyKeys("alice", "carol", "site:host", "\u00e9");
    assertThat(keys.get("alice")).isEqualTo(HexFormat.of().parseHex(KEY));
    assertThat(keys.get("carol")).isEqualTo(HexFormat.of().parseHex(KEY.repeat(4)));
  }

  @Test
  void aLineWithoutAColonIsNamedAndNotShown() {
    assertFault("# a\n\n" + KEY + "\n", ", line 3: expected IDENTITY:KEY-IN-HEXADECIMAL");
  }

  @Test
  void aLineWithoutAnIdentityIsNamed() {
    assertFault(":" + KEY, ", line 1: expected IDENTITY:KEY-IN-HEXADECIMAL");
  }

  @Test
  void aKeyThatIsNotHexadecimalIsNotShown() {
    assertFault("alice:" + KEY + "\nbob:secret" + KEY, ", line 2: the key is not hexadecimal");
    assertFault("alice:" + KEY + "0", ", line 1: the key is not hexadecimal");
  }

  @Test
  void aKeyIsNeitherShortNorLong() {
    assertFault("alice:", ", line 1: expected a key of 16 to 64 bytes, not 0");
    assertFault("alice:" + KEY.substring(2), ", line 1: expected a key of 16 to 64 bytes, not 15");
    assertFault(
        "alice:" + KEY.repeat(4) + "00", ", line 1: expected a key of 16 to 64 bytes, not 65");
  }

  @Test
  void anIdentityHasAtMost128Bytes() throws Exception {
    assertThat(read("\u00e9".repeat(64) + ":" + KEY)).hasSize(1);
    assertFault("\u00e9".repeat(64) + "x:" + KEY, ", line 1: the identity has more than 128 bytes");
  }

  @Test
  void anIdentityIsThereOnce() {
    assertFault(
        "alice:" + KEY + "\nbob:" + KEY + "\nalice:" + KEY.replace('0', '1'),
        ", line 3: identity 'alice' is there twice");
  }

  @Test
  void aFileWithoutKeysIsRefused() {
    assertFault("", ": there is no key in it");
    assertFault("# nobody yet\n", ": there is no key in it");
  }

  @Test
  void aFileThatIsNotTextIsRefused() throws Exception {
    Files.write(file, new byte[] {(byte) 0xff, (byte) 0xfe, ':', '0'});
    assertThatThrownBy(() -> PskFile.read(file))
        .isInstanceOf(TlsFilesException.class)
        .hasMessage("can't use " + file + ": it is not UTF-8 text");
  }

  @Test
  void aFileThatIsNotThereIsNamed() {
    assertThatThrownBy(() -> PskFile.read(file))
        .isInstanceOf(TlsFilesException.class)
        .hasMessage("can't use " + file + ": there is no such file");
  }

  @Test
  void aDirectoryIsNoFile() throws Exception {
    Files.createDirectory(file);
    assertThatThrownBy(() -> PskFile.read(file))
        .isInstanceOf(TlsFilesException.class)
        .hasMessage("can't use " + file + ": Is a directory");
  }
}
