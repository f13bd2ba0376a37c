package io.plinth.engine.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.Test;

class NativeMemoryTest {
  private static final int PAGE = 4096;
  private static final long BYTES = 128L << 20;

  /** What else in the process comes and goes meanwhile. */
  private static final long NOISE_BYTES = 24L << 20;

  @Test
  void everySecondPageThatIsGivenBackLeavesTheProcessAndReadsAsZero() throws Exception {
    NativeMemory memory = NativeMemory.reserve(BYTES);
    memory.useSmallPages();
    for (long at = 0; at < BYTES; at += PAGE) {
      UnsafeApi.putLong(memory.address() + at, at + 1);
    }
    long full = residentBytes();
    for (long at = 0; at < BYTES; at += 2 * PAGE) {
      assertThat(memory.discard(at, PAGE)).isTrue();
    }
    assertThat(full - residentBytes()).isCloseTo(BYTES / 2, within(NOISE_BYTES));
    for (long at = 0; at < BYTES; at += PAGE) {
      long expected = at % (2 * PAGE) == 0 ? 0 : at + 1;
      assertThat(UnsafeApi.getLong(memory.address() + at)).isEqualTo(expected);
    }
    memory.close();
  }

  private static long residentBytes() throws IOException {
    String line =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(each -> each.startsWith("RssAnon:"))
            .findFirst()
            .orElseThrow();
    return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
  }
}
