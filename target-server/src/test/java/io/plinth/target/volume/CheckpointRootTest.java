package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.log.replication.GroupState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** The description of a checkpoint, byte for byte as {@link CheckpointRoot} draws it. */
class CheckpointRootTest {
  private static final int VERSION_AT = 8;
  private static final int APPLIED_AT = 60;
  private static final int FIRST_LEARNER_AT = 121;

  private static byte[] description() {
    ByteBuffer out = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
    out.put("PLNCHKPT".getBytes(StandardCharsets.US_ASCII)).putInt(4).putInt(77);
    // No block of the page table; batch 4711 is the first after the cut; group 9 is the highest
    // one;
    // one family.
    out.putInt(0).putLong(4711).putInt(9).putInt(1).putInt(5).putInt(5);
    // Group 5: kept after entry 1000 of term 7, epoch 6, applied up to 1003; term 8, vote 2,
    // recovering, boot id.
    out.putInt(1).putInt(5).putLong(1000).putLong(1003).putLong(7).putLong(6);
    out.putLong(8).putInt(2).put((byte) 1).putLong(0x1122334455667788L);
    out.putInt(2).putInt(0).putInt(2).putInt(1).putInt(3);
    // Volume 5.
    out.putInt(1).putInt(5).put((byte) 1).putShort((short) 3).put(new byte[] {'v', 'o', 'l'});
    out.putLong(1 << 20).putInt(5).putInt(70).putInt(1).putLong(256).putLong(12);
    out.putLong(4).putLong(40).putLong(1).putLong(1_700_000_000_000L).putInt(0);
    // The node's part.
    out.putInt(2).put((byte) 42).put((byte) 43);
    return bytes(out);
  }

  private static byte[] bytes(ByteBuffer out) {
    byte[] all = new byte[out.position()];
    out.get(0, all);
    return all;
  }

  @Test
  void groupsAndVolumesAreWhatWasWritten() throws IndexException {
    CheckpointRoot root = CheckpointRoot.decode(description());
    assertThat(root.cutSequence()).isEqualTo(4711);
    assertThat(root.groups()).hasSize(1);
    GroupState group = root.groups().get(0);
    assertThat(group.group()).isEqualTo(5);
    assertThat(group.index()).isEqualTo(1000);
    assertThat(group.applied()).isEqualTo(1003);
    assertThat(group.entryTerm()).isEqualTo(7);
    assertThat(group.epoch()).isEqualTo(6);
    assertThat(group.term()).isEqualTo(8);
    assertThat(group.vote()).isEqualTo(2);
    assertThat(group.recovering()).isTrue();
    assertThat(group.bootId()).isEqualTo(0x1122334455667788L);
    assertThat(group.membership()).hasToString("voters [0, 2] learners [3]");
    assertThat(root.volumes()).hasSize(1);
    assertThat(root.volumes().get(0).name()).isEqualTo("vol");
    assertThat(root.volumes().get(0).flushPolicy()).isEqualTo(FlushPolicy.ALWAYS);
    assertThat(root.extension()).containsExactly(42, 43);
  }

  @Test
  void itIsWrittenAsItIsRead() throws IndexException {
    byte[] bytes = description();
    assertThat(CheckpointRoot.decode(bytes).encode(new PageTable(), 77)).isEqualTo(bytes);
  }

  @Test
  void anotherVersionIsRefused() {
    byte[] bytes = description();
    bytes[VERSION_AT] = 3;
    assertThatThrownBy(() -> CheckpointRoot.decode(bytes))
        .isInstanceOf(IndexException.class)
        .hasMessage("it is not one of this version");
  }

  @Test
  void everyTruncationIsRefused() {
    byte[] bytes = description();
    for (int length = 0; length < bytes.length; length++) {
      byte[] part = Arrays.copyOf(bytes, length);
      assertThatThrownBy(() -> CheckpointRoot.decode(part))
          .as("%s bytes", length)
          .isInstanceOf(IndexException.class)
          .hasMessage("it is cut short");
    }
  }

  @Test
  void aGroupThatHasAppliedLessThanItHasForgottenIsRefused() {
    byte[] bytes = description();
    assertThat(bytes[APPLIED_AT]).isEqualTo((byte) (1003 & 0xFF));
    bytes[APPLIED_AT] = (byte) (999 & 0xFF);
    assertThatThrownBy(() -> CheckpointRoot.decode(bytes))
        .isInstanceOf(IndexException.class)
        .hasMessage("the entries of group 5 make no sense");
  }

  @Test
  void aMemberThatIsThereTwiceIsRefused() {
    byte[] bytes = description();
    assertThat(bytes[FIRST_LEARNER_AT]).isEqualTo((byte) 3);
    bytes[FIRST_LEARNER_AT] = 2;
    assertThatThrownBy(() -> CheckpointRoot.decode(bytes))
        .isInstanceOf(IndexException.class)
        .hasMessage("the members of group 5 make no sense");
  }
}
