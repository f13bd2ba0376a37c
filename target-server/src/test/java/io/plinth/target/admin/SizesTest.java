package io.plinth.target.admin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SizesTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "512, 512",
    "512B, 512",
    "4K, 4096",
    "4k, 4096",
    "4KiB, 4096",
    "1M, 1048576",
    "1G, 1073741824",
    "64gib, 68719476736",
    "1T, 1099511627776",
    "1P, 1125899906842624",
    "' 1G ', 1073741824",
    "8191P, 9222246136947933184"
  })
  void sizesArePowersOf1024(String text, long bytes) {
    assertThat(Sizes.parse(text)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "1X", "G", "-1", "1.5G", "1 000", "0x10", "1GG", "1iB", "١G"})
  void aBadSizeIsQuotedAndTheExpectedFormTold(String text) {
    assertThatThrownBy(() -> Sizes.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("bad size \"" + text + "\": expected")
        .hasMessageContaining("4K, 1G or 64GiB");
  }

  @Test
  void aUnitThatMeansTwoThingsIsRefusedWithBothWaysOut() {
    assertThatThrownBy(() -> Sizes.parse("10GB"))
        .hasMessage("bad size \"10GB\": write 10G or 10GiB for powers of 1024");
  }

  @ParameterizedTest
  @ValueSource(strings = {"8192P", "9999999999999999999", "9223372036854775807T"})
  void aSizeThatDoesNotFitIsRefused(String text) {
    assertThatThrownBy(() -> Sizes.parse(text)).hasMessageContaining("the largest that fits");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 B",
    "1023, 1023 B",
    "1024, 1 KiB",
    "1536, 1.5 KiB",
    "1048575, 1 MiB",
    "1073741824, 1 GiB",
    "1610612736, 1.5 GiB",
    "70368744177664, 64 TiB"
  })
  void peopleReadAtMostOneDecimal(long bytes, String text) {
    assertThat(Sizes.format(bytes)).isEqualTo(text);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 512, 1000, 4096, 1536, 1L << 30, 3L << 40, 64L << 40, Long.MAX_VALUE})
  void theExactFormReadsBackToTheSameNumber(long bytes) {
    assertThat(Sizes.parse(Sizes.formatExact(bytes))).isEqualTo(bytes);
  }
}
