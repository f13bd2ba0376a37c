package io.plinth.tools.attach;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class BlockDevicesTest {
  @TempDir private Path sysfs;

  private void file(String path, String content) throws IOException {
    Path file = sysfs.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }

  @Test
  void listsWhatTheFilesSay() throws Exception {
    file("nbd10/size", "2048\n");
    file("nbd10/pid", "77\n");
    file("nbd10/backend", "demo\n");
    file("nbd2/size", "0\n");
    file("nbd3/size", "not a number\n");
    file("sda/size", "4096\n");
    assertThat(BlockDevices.list(sysfs, List.of(10)))
        .containsExactly(
            new BlockDevices.Device("/dev/nbd2", 2, false, 0, null, null),
            new BlockDevices.Device("/dev/nbd3", 3, false, 0, null, null),
            new BlockDevices.Device("/dev/nbd10", 10, true, 1 << 20, "demo", 77L));
  }

  @Test
  void namesAreReadWithAndWithoutTheFolder() {
    assertThat(BlockDevices.index("/dev/nbd0")).isZero();
    assertThat(BlockDevices.index("nbd15")).isEqualTo(15);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/dev/nbd", "/dev/nbd0p1", "/dev/sda", "nbd-1", "nbd999999", "0"})
  void otherNamesAreRefused(String name) {
    assertThat(catchThrowableOfType(IllegalArgumentException.class, () -> BlockDevices.index(name)))
        .hasMessage("bad device \"" + name + "\": expected one such as /dev/nbd0");
  }
}
