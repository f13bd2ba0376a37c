package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CatalogueTest {
  private static final VolumeSettings SETTINGS =
      new VolumeSettings("mail", Optional.of(TlsMode.REQUIRED), List.of("CN=backup,O=Example"));

  private final Catalogue catalogue = empty();

  private static Catalogue empty() {
    return new Catalogue(Set.of());
  }

  private static Catalogue.Entry entry(int group, String name, VolumeSettings settings) {
    return new Catalogue.Entry(group, 1, name, 1L << 30, FlushPolicy.ALWAYS, settings);
  }

  private Catalogue restored() {
    Catalogue restored = empty();
    restored.restore(catalogue.encode());
    assertThat(restored.entries()).containsExactlyElementsOf(catalogue.entries());
    assertThat(restored.settingsBytes()).isEqualTo(catalogue.settingsBytes());
    return restored;
  }

  @Test
  void settingsAreCreatedSetAndDroppedWithTheVolume() {
    Catalogue.Entry plain = entry(1, "a", VolumeSettings.DEFAULT);
    Catalogue.Entry set = entry(2, "b", SETTINGS);
    assertThat(catalogue.apply(Catalogue.encodeCreate(plain))).isEqualTo(plain);
    assertThat(catalogue.apply(Catalogue.encodeCreate(set))).isEqualTo(set);
    assertThat(catalogue.settingsBytes()).isEqualTo(SETTINGS.encodedBytes());
    assertThat(restored().find(2).settings()).isEqualTo(SETTINGS);

    assertThat(catalogue.apply(Catalogue.encodeSet(1, SETTINGS))).isEqualTo(plain.with(SETTINGS));
    assertThat(catalogue.apply(Catalogue.encodeSet(2, VolumeSettings.DEFAULT)))
        .isEqualTo(set.with(VolumeSettings.DEFAULT));
    assertThat(restored().find(1).settings()).isEqualTo(SETTINGS);

    assertThat(catalogue.apply(Catalogue.encodeDelete(1))).isEqualTo(plain.with(SETTINGS));
    assertThat(catalogue.settingsBytes()).isZero();
    assertThat(restored().entries()).hasSize(1);
    assertThat(restored().takeGroup()).isEqualTo(3);
  }

  @Test
  void settingsOfAVolumeThatIsNotThereAreNone() {
    assertThat(catalogue.apply(Catalogue.encodeSet(7, SETTINGS))).isNull();
    assertThat(catalogue.entries()).isEmpty();
    assertThat(catalogue.settingsBytes()).isZero();
  }

  @Test
  void theLayoutsAreAsDocumented() {
    HexFormat hex = HexFormat.of();
    String rest = "05000000" + "01000000" + "0000004000000000" + "01" + "0100" + "76";
    VolumeSettings settings = new VolumeSettings("d", Optional.of(TlsMode.OFF), List.of());
    assertThat(hex.formatHex(Catalogue.encodeCreate(entry(5, "v", VolumeSettings.DEFAULT))))
        .isEqualTo("01" + rest);
    assertThat(hex.formatHex(Catalogue.encodeCreate(entry(5, "v", settings))))
        .isEqualTo("04" + rest + "01" + "010064" + "0000");
    assertThat(hex.formatHex(Catalogue.encodeSet(5, settings)))
        .isEqualTo("03" + "05000000" + "01" + "010064" + "0000");
    assertThat(hex.formatHex(Catalogue.encodeDelete(5))).isEqualTo("02" + "05000000");
  }

  /** What a node wrote before there were settings. */
  @Test
  void anOlderCatalogueIsRestored() {
    String create = "01" + "05000000" + "01000000" + "0000004000000000" + "01" + "0100" + "76";
    String old = "09000000" + "01000000" + "15000000" + create;
    catalogue.restore(HexFormat.of().parseHex(old));
    assertThat(catalogue.entries()).containsExactly(entry(5, "v", VolumeSettings.DEFAULT));
    assertThat(catalogue.takeGroup()).isEqualTo(9);
  }

  @Test
  void whatIsCutShortIsRefused() {
    byte[] create = Catalogue.encodeCreate(entry(2, "b", SETTINGS));
    byte[] set = Catalogue.encodeSet(2, SETTINGS);
    for (byte[] command : List.of(create, set)) {
      for (int length = 0; length < command.length; length++) {
        byte[] cut = Arrays.copyOf(command, length);
        assertThatThrownBy(() -> catalogue.apply(cut))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("catalogue command of " + length + " bytes is cut short");
      }
    }
    assertThat(catalogue.entries()).isEmpty();
    assertThatThrownBy(() -> catalogue.apply(new byte[] {5}))
        .hasMessage("unknown catalogue command 5");
  }
}
