package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_CACHE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_RESIZE;
import static io.plinth.target.nbd.NbdProtocol.CMD_TRIM;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE_ZEROES;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.volume.StatusContext;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The rules about a request, each with the errno of the conformance table. */
class RequestValidatorTest {
  private static final int MAX = 32 << 20;
  private static final long SIZE = 1L << 40;
  private static final Export FULL =
      new Export(SIZE, false, ReplyFormat.STRUCTURED, StatusContext.ALLOCATION_ONLY, MAX, false);
  private static final Export SIMPLE =
      new Export(SIZE, false, ReplyFormat.SIMPLE, List.of(), MAX, false);
  private static final Export READ_ONLY =
      new Export(SIZE, true, ReplyFormat.STRUCTURED, StatusContext.ALLOCATION_ONLY, MAX, false);
  private static final Export RESIZABLE =
      new Export(SIZE, false, ReplyFormat.SIMPLE, List.of(), MAX, true);
  private static final int[] COMMANDS = {
    CMD_READ, CMD_WRITE, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS
  };

  private static int errno(Export export, int command, int flags, long offset, long length) {
    Violation violation = RequestValidator.validate(export, false, command, flags, offset, length);
    return violation == null ? 0 : violation.error;
  }

  private static long anyLength(int command) {
    return command == CMD_FLUSH ? 0 : 4096;
  }

  @Test
  void D1_fuaIsAcceptedOnEveryCommand() {
    for (int command : COMMANDS) {
      assertThat(errno(FULL, command, 1, 0, anyLength(command))).isZero();
    }
  }

  @Test
  void E1_flagsThatDoNotApplyAreInvalid() {
    int[] allowed = {
      1 | 4, 1, 1, 1, 1, 1 | 2 | 16, 1 | 8,
    };
    for (int i = 0; i < COMMANDS.length; i++) {
      for (int bit = 0; bit < 16; bit++) {
        boolean valid = (allowed[i] & 1 << bit) != 0;
        assertThat(errno(FULL, COMMANDS[i], 1 << bit, 0, anyLength(COMMANDS[i])))
            .as("command %d flag bit %d", COMMANDS[i], bit)
            .isEqualTo(valid ? 0 : 22);
      }
    }
  }

  @Test
  void E1_dfWithoutStructuredRepliesIsInvalid() {
    assertThat(errno(SIMPLE, CMD_READ, 4, 0, 4096)).isEqualTo(22);
  }

  @Test
  void E1_unknownCommandsAreInvalid() {
    for (int command = 8; command < 1 << 16; command++) {
      assertThat(errno(FULL, command, 0, 0, 0)).isEqualTo(22);
    }
  }

  @Test
  void E2_pastTheEndIsNoSpaceForWritesAndInvalidForTheRest() {
    for (int command : COMMANDS) {
      if (command == CMD_FLUSH) {
        continue;
      }
      int expected = command == CMD_WRITE || command == CMD_WRITE_ZEROES ? 28 : 22;
      assertThat(errno(FULL, command, 0, SIZE - 512, 512)).isZero();
      assertThat(errno(FULL, command, 0, SIZE - 512, 1024)).isEqualTo(expected);
      assertThat(errno(FULL, command, 0, SIZE, 512)).isEqualTo(expected);
      assertThat(errno(FULL, command, 0, -512L, 1024)).isEqualTo(expected);
      assertThat(errno(FULL, command, 0, Long.MAX_VALUE - 511, 512)).isEqualTo(expected);
      assertThat(errno(FULL, command, 0, Long.MIN_VALUE, 512)).isEqualTo(expected);
    }
  }

  @Test
  void E3_misalignedIsInvalid() {
    for (int command : COMMANDS) {
      assertThat(errno(FULL, command, 0, 1, 512)).isEqualTo(22);
      assertThat(errno(FULL, command, 0, 0, 511)).isEqualTo(22);
      assertThat(errno(FULL, command, 0, 256, 256)).isEqualTo(22);
    }
  }

  @Test
  void E4_emptyRangesAreValidWhereAnAnswerExists() {
    for (int command : COMMANDS) {
      int expected = command == CMD_BLOCK_STATUS ? 22 : 0;
      assertThat(errno(FULL, command, 0, 0, 0)).isEqualTo(expected);
    }
    assertThat(errno(FULL, CMD_READ, 0, SIZE, 0)).isZero();
    assertThat(errno(FULL, CMD_READ, 0, SIZE + 512, 0)).isEqualTo(22);
  }

  @Test
  void E5_shuttingDownComesFirst() {
    Violation violation = RequestValidator.validate(READ_ONLY, true, 999, 0xffff, -1, -1);
    assertThat(violation.error).isEqualTo(108);
  }

  @Test
  void E7_payloadBeyondTheMaximumIsInvalidOthersMayBeLonger() {
    for (int command : COMMANDS) {
      boolean payload = command == CMD_READ || command == CMD_WRITE;
      int expected = payload || command == CMD_FLUSH ? 22 : 0;
      assertThat(errno(FULL, command, 0, 0, MAX + 512L)).isEqualTo(expected);
      assertThat(errno(FULL, command, 0, 0, 0xfffffe00L)).isEqualTo(expected);
    }
    assertThat(errno(FULL, CMD_READ, 0, 0, MAX)).isZero();
    assertThat(errno(FULL, CMD_WRITE, 0, 0, MAX)).isZero();
  }

  @Test
  void readOnlyForbidsWhatWritesAndNothingElse() {
    for (int command : COMMANDS) {
      boolean writes = command == CMD_WRITE || command == CMD_TRIM || command == CMD_WRITE_ZEROES;
      assertThat(errno(READ_ONLY, command, 0, 0, anyLength(command))).isEqualTo(writes ? 1 : 0);
    }
  }

  @Test
  void B1_blockStatusWithoutContextIsInvalid() {
    assertThat(errno(SIMPLE, CMD_BLOCK_STATUS, 0, 0, 4096)).isEqualTo(22);
    assertThat(errno(FULL, CMD_BLOCK_STATUS, 0, 0, 4096)).isZero();
  }

  @Test
  void flushHasNoRange() {
    assertThat(errno(FULL, CMD_FLUSH, 0, 512, 0)).isEqualTo(22);
    assertThat(errno(FULL, CMD_FLUSH, 0, 0, 512)).isEqualTo(22);
  }

  @Test
  void Z1_sizesAreMultiplesOfTheLeastBlockAndNotTooSmallOrLarge() {
    for (long size : new long[] {4096, 4608, SIZE - 512, SIZE, 2 * SIZE, 64L << 40}) {
      assertThat(errno(RESIZABLE, CMD_RESIZE, 0, size, 0)).isZero();
      assertThat(errno(RESIZABLE, CMD_RESIZE, 1, size, 0)).as("with FUA").isZero();
      assertThat(errno(RESIZABLE, CMD_RESIZE, 0, size, 512)).as("with a length").isEqualTo(22);
      assertThat(errno(RESIZABLE, CMD_RESIZE, 0, size + 1, 0)).isEqualTo(22);
      assertThat(errno(RESIZABLE, CMD_RESIZE, 2, size, 0)).as("with NO_HOLE").isEqualTo(22);
    }
    for (long size : new long[] {0, 512, 3584}) {
      assertThat(errno(RESIZABLE, CMD_RESIZE, 0, size, 0)).isEqualTo(22);
    }
    for (long size : new long[] {(64L << 40) + 512, Long.MAX_VALUE - 511, Long.MIN_VALUE, -512}) {
      assertThat(errno(RESIZABLE, CMD_RESIZE, 0, size, 0)).isEqualTo(28);
    }
  }

  @Test
  void Z1_aReadOnlyExportIsNotResized() {
    Export snapshot = new Export(SIZE, true, ReplyFormat.SIMPLE, List.of(), MAX, true);
    assertThat(errno(snapshot, CMD_RESIZE, 0, SIZE, 0)).isEqualTo(1);
    assertThat(errno(READ_ONLY, CMD_RESIZE, 0, SIZE, 0)).as("not offered").isEqualTo(22);
  }
}
