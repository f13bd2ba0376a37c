package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What logs hold of commands, and what is added to it, is read by every later version. */
@Timeout(10)
class VolumeCommandTest {
  @ParameterizedTest
  @CsvSource({
    "CREATE, 010000004000000000000400 64656d6f",
    "CLONE, 0207000000 01 0400636f7079 010073",
    "SNAPSHOT, 03 0100000000000000 0600 6d6f6e646179",
    "DELETE_SNAPSHOT, 04 0600 6d6f6e646179",
    "ROLLBACK, 05 0600 6d6f6e646179",
    "RESIZE, 06 0000004000000000",
    "VERIFY, 07"
  })
  void commandsAreTheseBytes(VolumeCommand.Kind kind, String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", ""));
    VolumeCommand command = VolumeCommand.decode(bytes);
    assertThat(command.kind()).isEqualTo(kind);
    assertThat(command.encode()).isEqualTo(bytes);
  }

  @Test
  void unknownOnesAreRefused() {
    assertThatThrownBy(() -> VolumeCommand.decode(new byte[] {8}))
        .hasMessage("unknown volume command 8");
  }
}
