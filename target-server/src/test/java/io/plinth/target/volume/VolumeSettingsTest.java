package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VolumeSettingsTest {
  private static final VolumeSettings FULL =
      new VolumeSettings(
          "mail, \u00e9t\u00e9 \ud83d\ude00",
          Optional.of(TlsMode.REQUIRED),
          List.of("CN=backup,O=Example", "CN=\u00e9t\u00e9"));

  private static ByteBuffer buffer(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static VolumeSettings described(String description) {
    return new VolumeSettings(description, Optional.empty(), List.of());
  }

  private static VolumeSettings allowing(List<String> names) {
    return new VolumeSettings("", Optional.empty(), names);
  }

  @Test
  void whatIsEncodedIsDecoded() {
    for (TlsMode mode : TlsMode.values()) {
      VolumeSettings settings = new VolumeSettings("x", Optional.of(mode), List.of("CN=a"));
      assertThat(VolumeSettings.decode(buffer(settings.encode()))).isEqualTo(settings);
    }
    assertThat(VolumeSettings.decode(buffer(FULL.encode()))).isEqualTo(FULL);
    assertThat(FULL.encodedBytes()).isEqualTo(FULL.encode().length);
    VolumeSettings none = VolumeSettings.DEFAULT;
    assertThat(VolumeSettings.decode(buffer(none.encode()))).isEqualTo(none);
  }

  @Test
  void theLayoutIsAsDocumented() {
    VolumeSettings settings =
        new VolumeSettings("ab", Optional.of(TlsMode.ALLOWED), List.of("CN=a", "CN=bc"));
    assertThat(HexFormat.of().formatHex(settings.encode()))
        .isEqualTo("02" + "02006162" + "0200" + "0400434e3d61" + "0500434e3d6263");
    assertThat(HexFormat.of().formatHex(VolumeSettings.DEFAULT.encode())).isEqualTo("0000000000");
  }

  @Test
  void theLargestSettingsAreKept() {
    String name = "CN=" + "a".repeat(VolumeSettings.MAXIMUM_NAME_BYTES - 3);
    VolumeSettings largest =
        new VolumeSettings(
            "\u00e9".repeat(VolumeSettings.MAXIMUM_DESCRIPTION_BYTES / 2),
            Optional.of(TlsMode.OFF),
            Collections.nCopies(VolumeSettings.MAXIMUM_NAMES, name));
    assertThat(VolumeSettings.decode(buffer(largest.encode()))).isEqualTo(largest);
  }

  @Test
  void whatIsCutShortIsNotDecoded() {
    byte[] bytes = FULL.encode();
    for (int length = 0; length < bytes.length; length++) {
      ByteBuffer cut = buffer(Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> VolumeSettings.decode(cut))
          .as("%s bytes", length)
          .isInstanceOf(BufferUnderflowException.class);
    }
    bytes[0] = 4;
    assertThatThrownBy(() -> VolumeSettings.decode(buffer(bytes)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("unknown TLS mode 4");
  }

  @Test
  void aDescriptionHasALimitInBytesOfUtf8() {
    assertThat(described("x".repeat(1024)).description()).hasSize(1024);
    assertThatThrownBy(() -> described("x".repeat(1025)))
        .hasMessage("bad description: expected at most 1024 bytes, not 1025");
    assertThatThrownBy(() -> described("\u00e9".repeat(513)))
        .hasMessage("bad description: expected at most 1024 bytes, not 1026");
  }

  @Test
  void textHasNoControlCharactersAndNoHalfCharacters() {
    assertThatThrownBy(() -> described("a\nb"))
        .hasMessage("bad description: it has a control character, U+000A");
    assertThatThrownBy(() -> described("\0"))
        .hasMessage("bad description: it has a control character, U+0000");
    assertThatThrownBy(() -> described("\u0085"))
        .hasMessage("bad description: it has a control character, U+0085");
    assertThatThrownBy(() -> described("\ud83d"))
        .hasMessage("bad description: it has half of a character");
    assertThatThrownBy(() -> allowing(List.of("CN=a", "CN=\u007f")))
        .hasMessage("bad name 2 in tls-allow: it has a control character, U+007F");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "backup", "CN", "=x", "CN=a,,", "CN=a,backup", "nonsense=a"})
  void aNameMustBeADistinguishedName(String name) {
    assertThatThrownBy(() -> allowing(List.of("CN=good", name)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "bad name 2 in tls-allow: expected a distinguished name such as \"CN=backup,O=Example\" or psk:IDENTITY");
  }

  @Test
  void namesHaveLimits() {
    assertThatThrownBy(() -> allowing(List.of("CN=" + "a".repeat(510))))
        .hasMessage("bad name 1 in tls-allow: expected at most 512 bytes, not 513");
    assertThatThrownBy(() -> allowing(Collections.nCopies(65, "CN=a")))
        .hasMessage("bad tls-allow: expected at most 64 names, not 65");
  }

  @Test
  void modesHaveWords() {
    assertThat(TlsMode.parse("required")).isEqualTo(TlsMode.REQUIRED);
    assertThatThrownBy(() -> TlsMode.parse("on"))
        .hasMessage("bad TLS mode \"on\": expected \"off\", \"allowed\" or \"required\"");
  }

  @Test
  void aChangeLeavesTheOtherSettingsAlone() {
    SettingsChange change =
        new SettingsChange(EnumSet.of(SettingsChange.Key.TLS), VolumeSettings.DEFAULT);
    assertThat(change.applyTo(FULL))
        .isEqualTo(new VolumeSettings(FULL.description(), Optional.empty(), FULL.tlsAllow()));
    SettingsChange all =
        new SettingsChange(EnumSet.allOf(SettingsChange.Key.class), VolumeSettings.DEFAULT);
    assertThat(all.applyTo(FULL)).isEqualTo(VolumeSettings.DEFAULT);
    assertThatThrownBy(() -> SettingsChange.Key.parse("size"))
        .hasMessage("unknown setting \"size\": expected description, tls, tls-allow");
  }

  @Test
  void aCopyKeepsWhatProtects() {
    assertThat(FULL.ofCopy()).isEqualTo(new VolumeSettings("", FULL.tls(), FULL.tlsAllow()));
  }
}
