package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteOrder;
import java.util.Set;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The bytes in which members tell each other what a leaf says of its blocks. */
@Timeout(10)
class LeafMapTest {
  private final IndexSpace space = new IndexSpace(4, 1024, Set.of());
  private final UnsafeBuffer bytes = new UnsafeBuffer(new byte[LeafMap.BYTES]);

  @AfterEach
  void free() {
    space.close();
  }

  private void encode() {
    BlockIndex index = new BlockIndex(space, 1, LeafMap.BLOCKS);
    index.put(0, 5, 0x01020304, 9);
    index.put(447, 6, 0x11121314, 9);
    index.unmap(2, 1, true, 9);
    LeafMap.encode(space.leafAddress(index.leafPage(0)), bytes);
  }

  @Test
  void statesComeFirstAndThenChecksums() {
    encode();
    assertThat(bytes.capacity()).isEqualTo(2240);
    assertThat(bytes.getByte(0)).isEqualTo((byte) 2);
    assertThat(bytes.getByte(1)).isZero();
    assertThat(bytes.getByte(2)).isEqualTo((byte) 1);
    assertThat(bytes.getInt(448, ByteOrder.LITTLE_ENDIAN)).isEqualTo(0x01020304);
    assertThat(bytes.getInt(448 + 4)).isZero();
    assertThat(bytes.getInt(448 + 4 * 447, ByteOrder.LITTLE_ENDIAN)).isEqualTo(0x11121314);
  }

  @Test
  void whatWasToldIsRead() {
    encode();
    LeafMap map = new LeafMap();
    assertThat(map.decode(bytes, LeafMap.BYTES)).isTrue();
    assertThat(map.states[0]).isEqualTo((byte) LeafMap.DATA);
    assertThat(map.states[2]).isEqualTo((byte) LeafMap.ZERO);
    assertThat(map.states[3]).isEqualTo((byte) LeafMap.UNMAPPED);
    assertThat(map.checksums[447]).isEqualTo(0x11121314);
  }

  @Test
  void whatMakesNoSenseIsRefused() {
    encode();
    assertThat(new LeafMap().decode(bytes, LeafMap.BYTES - 1)).isFalse();
    bytes.putByte(7, (byte) 3);
    assertThat(new LeafMap().decode(bytes, LeafMap.BYTES)).isFalse();
  }
}
