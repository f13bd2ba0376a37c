package io.plinth.target.admin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VolumeSpecTest {
  @Test
  void nameAndSizeAreReadFromOneWord() {
    assertThat(VolumeSpec.parse("demo=1G", FlushPolicy.ALWAYS, VolumeSettings.DEFAULT))
        .isEqualTo(new VolumeSpec("demo", 1L << 30, FlushPolicy.ALWAYS, VolumeSettings.DEFAULT));
  }

  @Test
  void aWordWithoutSizeIsRefused() {
    assertThatThrownBy(() -> VolumeSpec.parse("demo", FlushPolicy.FLUSH, VolumeSettings.DEFAULT))
        .hasMessage("bad volume \"demo\": expected NAME=SIZE, such as demo=1G");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a",
        "0",
        "Db.main_1-x",
        "123456789012345678901234567890123456789012345678901234567890123"
      })
  void goodNames(String name) {
    assertThat(new VolumeSpec(name, 4096, FlushPolicy.FLUSH, VolumeSettings.DEFAULT).name())
        .isEqualTo(name);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "-a",
        "_a",
        "a/b",
        "a b",
        "a@1",
        "ä",
        "a\n",
        "1234567890123456789012345678901234567890123456789012345678901234"
      })
  void badNamesAreRefusedInOneLine(String name) {
    assertThatThrownBy(() -> VolumeSpec.checkName(name))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("1 to 63 letters, digits")
        .hasMessageNotContaining("\n");
  }

  @Test
  void aHugeBadNameIsShortenedInTheMessage() {
    assertThatThrownBy(() -> VolumeSpec.checkName("x".repeat(10_000)))
        .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(200));
  }

  @ParameterizedTest
  @ValueSource(longs = {4096, 4608, 1L << 30, 64L << 40})
  void goodSizes(long size) {
    assertThat(new VolumeSpec("a", size, FlushPolicy.FLUSH, VolumeSettings.DEFAULT).sizeBytes())
        .isEqualTo(size);
  }

  @ParameterizedTest
  @ValueSource(
      longs = {Long.MIN_VALUE, -512, 0, 512, 3584, 4097, (64L << 40) + 512, Long.MAX_VALUE})
  void badSizesAreRefusedWithTheBounds(long size) {
    assertThatThrownBy(() -> new VolumeSpec("a", size, FlushPolicy.FLUSH, VolumeSettings.DEFAULT))
        .hasMessage(
            "bad volume size "
                + size
                + ": expected a multiple of 512 bytes, at least 4K and at most 64T");
  }
}
