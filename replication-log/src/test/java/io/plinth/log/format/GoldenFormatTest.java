package io.plinth.log.format;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.SuperblockStore;
import java.io.IOException;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * The bytes of every structure as they were when the format was made; the files were written by a
 * program that shares no code with the flyweights. When one of these tests fails, logs of older
 * builds can't be read any more: a change of format needs a new version.
 */
class GoldenFormatTest {
  private static final long LOG_ID = 0x0102030405060708L;
  private static final int SEGMENT_BYTES = 64 << 20;
  private static final int VERSION_OFFSET = 8;
  private static final Superblock.Values SUPERBLOCK =
      new Superblock.Values(
          SEGMENT_BYTES,
          9,
          LOG_ID,
          UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"),
          UUID.fromString("123e4567-e89b-12d3-a456-426614174000"),
          6,
          4240,
          1,
          0x55AA55AA,
          true);

  private final NativeMemory memory = NativeMemory.reserve(8192);
  private final long address = memory.address();
  private final UnsafeBuffer buffer = memory.buffer(0, 8192);
  private final CRC32C crc = new CRC32C();

  @AfterEach
  void free() {
    memory.close();
  }

  @Test
  void aBatchHeaderWithItsRecordsIsEncodedToTheStoredBytes() throws IOException {
    byte[] golden = GoldenFile.read("batch.hex");
    int write = RecordHeader.encodedBytes(RecordHeader.WRITE, 3);
    int unmap = RecordHeader.encodedBytes(RecordHeader.UNMAP, 0x10000);
    int command = RecordHeader.encodedBytes(RecordHeader.COMMAND, 11);
    int headerBytes = BatchHeader.BYTES + write + unmap + command;
    long at = address + BatchHeader.BYTES;
    RecordHeader record = new RecordHeader().wrap(at, write);
    record.encode(RecordHeader.WRITE, 0, 7, 3, 1001, 0x123456789L, 3, 1);
    record.checksum(0, 0x11223344);
    record.checksum(1, 0x89ABCDEF);
    record.checksum(2, 0xDEADBEEF);
    record
        .wrap(at + write, unmap)
        .encode(RecordHeader.UNMAP, RecordHeader.ALLOCATED, 7, 3, 1002, 0x200000000L, 0x10000, 0);
    record.wrap(at + write + unmap, command);
    record.encode(RecordHeader.COMMAND, 0, 0, 4, 55, 0, 11, 0);
    record.command("create demo".getBytes(US_ASCII));
    BatchHeader batch = new BatchHeader().wrap(address, headerBytes);
    batch.encode(headerBytes, LOG_ID, 42, 40, 0xCAFEBABE, 3, 1, 4);
    batch.headerCrc(memory.crc32c(crc, address, headerBytes));

    assertThat(bytes(headerBytes)).isEqualTo(golden);
  }

  @Test
  void theStoredBatchHeaderIsDecodedToItsValues() throws IOException {
    int length = load("batch.hex");
    BatchHeader batch = new BatchHeader().wrap(address, length);

    assertThat(batch.isBatch()).isTrue();
    assertThat(batch.headerBytes()).isEqualTo(length);
    assertThat(batch.logId()).isEqualTo(LOG_ID);
    assertThat(batch.sequence()).isEqualTo(42);
    assertThat(batch.durableSequence()).isEqualTo(40);
    assertThat(batch.previousCrc()).isEqualTo(0xCAFEBABE);
    assertThat(batch.recordCount()).isEqualTo(3);
    assertThat(batch.headerBlocks()).isEqualTo(1);
    assertThat(batch.payloadBlocks()).isEqualTo(4);
    assertThat(batch.hasPossibleLengths(5)).isTrue();
    assertThat(batch.hasPossibleLengths(4)).as("in too little room").isFalse();
    assertThat(batch.headerCrc()).isEqualTo(batchChecksum(length));
  }

  @Test
  void theStoredRecordsAreDecodedToTheirValues() throws IOException {
    int end = load("batch.hex");
    int at = BatchHeader.BYTES;

    RecordHeader write = new RecordHeader().wrap(address + at, end - at);
    assertThat(write.isPossible(end - at, 4)).isTrue();
    assertThat(write.isPossible(end - at, 3)).as("payload beyond the batch").isFalse();
    assertRecord(write, RecordHeader.WRITE, 0, 7, 3, 1001, 0x123456789L, 3, 1);
    assertThat(write.checksum(0)).isEqualTo(0x11223344);
    assertThat(write.checksum(1)).isEqualTo(0x89ABCDEF);
    assertThat(write.checksum(2)).isEqualTo(0xDEADBEEF);
    assertThat(write.checksumAddress()).isEqualTo(address + at + RecordHeader.BYTES);

    at += RecordHeader.encodedBytes(write.type(), write.blockCount());
    RecordHeader unmap = new RecordHeader().wrap(address + at, end - at);
    assertThat(unmap.isPossible(end - at, 4)).isTrue();
    assertRecord(
        unmap, RecordHeader.UNMAP, RecordHeader.ALLOCATED, 7, 3, 1002, 0x200000000L, 0x10000, 0);

    at += RecordHeader.encodedBytes(unmap.type(), unmap.blockCount());
    RecordHeader command = new RecordHeader().wrap(address + at, end - at);
    assertThat(command.isPossible(end - at, 4)).isTrue();
    assertThat(command.isPossible(end - at - 8, 4)).as("trailer cut off").isFalse();
    assertRecord(command, RecordHeader.COMMAND, 0, 0, 4, 55, 0, 11, 0);
    assertThat(command.command()).asString(US_ASCII).isEqualTo("create demo");
    assertThat(at + RecordHeader.encodedBytes(command.type(), command.blockCount())).isEqualTo(end);
  }

  @Test
  void aBatchOfAnotherVersionIsNone() throws IOException {
    int length = load("batch.hex");
    buffer.putInt(VERSION_OFFSET, LogFormat.VERSION + 1);

    assertThat(new BatchHeader().wrap(address, length).isBatch()).isFalse();
  }

  @Test
  void everyFlippedBitOfABatchHeaderShows() throws IOException {
    int length = load("batch.hex");
    BatchHeader batch = new BatchHeader().wrap(address, length);

    for (int bit = 0; bit < length * 8; bit++) {
      flip(bit);
      assertThat(batch.isBatch() && batch.headerCrc() == batchChecksum(length))
          .as("valid with bit %d flipped", bit)
          .isFalse();
      flip(bit);
    }
  }

  @Test
  void aSegmentHeaderIsEncodedToTheStoredBytes() throws IOException {
    SegmentHeader header = new SegmentHeader().wrap(address);
    header.encode(SEGMENT_BYTES, LOG_ID, 5, 17, 4242, 0xCAFEBABE);
    header.crc(memory.crc32c(crc, address, SegmentHeader.CRC_OFFSET));

    assertThat(bytes(SegmentHeader.BYTES)).isEqualTo(GoldenFile.read("segment-header.hex"));
  }

  @Test
  void theStoredSegmentHeaderIsDecodedToItsValues() throws IOException {
    assertThat(load("segment-header.hex")).isEqualTo(SegmentHeader.BYTES);
    SegmentHeader header = new SegmentHeader().wrap(address);

    assertThat(header.isSegment()).isTrue();
    assertThat(header.segmentBytes()).isEqualTo(SEGMENT_BYTES);
    assertThat(header.logId()).isEqualTo(LOG_ID);
    assertThat(header.slot()).isEqualTo(5);
    assertThat(header.segmentSequence()).isEqualTo(17);
    assertThat(header.firstBatchSequence()).isEqualTo(4242);
    assertThat(header.previousCrc()).isEqualTo(0xCAFEBABE);
    assertThat(header.crc()).isEqualTo(memory.crc32c(crc, address, SegmentHeader.CRC_OFFSET));
  }

  @Test
  void everyFlippedBitOfASegmentHeaderShows() throws IOException {
    int length = load("segment-header.hex");
    SegmentHeader header = new SegmentHeader().wrap(address);

    for (int bit = 0; bit < length * 8; bit++) {
      flip(bit);
      assertThat(
              header.isSegment()
                  && header.crc() == memory.crc32c(crc, address, SegmentHeader.CRC_OFFSET))
          .as("valid with bit %d flipped", bit)
          .isFalse();
      flip(bit);
    }
  }

  @Test
  void aSegmentOfAnotherVersionIsNone() throws IOException {
    assertThat(load("segment-header.hex")).isEqualTo(SegmentHeader.BYTES);
    buffer.putInt(VERSION_OFFSET, LogFormat.VERSION + 1);

    assertThat(new SegmentHeader().wrap(address).isSegment()).isFalse();
  }

  @Test
  void aSuperblockIsEncodedToTheStoredBytes() throws IOException {
    Superblock superblock = new Superblock().wrap(address);
    superblock.encode(SUPERBLOCK);
    superblock.crc(memory.crc32c(crc, address, Superblock.CRC_OFFSET));

    assertThat(bytes(Superblock.BYTES)).isEqualTo(GoldenFile.read("superblock.hex"));
  }

  @Test
  void theStoredSuperblockIsReadAsItsValues() throws IOException, RecoveryException {
    assertThat(load("superblock.hex")).isEqualTo(Superblock.BYTES);

    assertThat(readAsSuperblock()).isEqualTo(SUPERBLOCK);
  }

  @Test
  void aSuperblockOfAnotherVersionIsRefusedWithBothVersions() throws IOException {
    assertThat(load("superblock.hex")).isEqualTo(Superblock.BYTES);
    buffer.putInt(VERSION_OFFSET, 2);
    buffer.putInt(Superblock.CRC_OFFSET, memory.crc32c(crc, address, Superblock.CRC_OFFSET));

    assertThatThrownBy(this::readAsSuperblock)
        .isInstanceOf(RecoveryException.class)
        .hasMessage("log: format version 2; this program reads version 1");
  }

  @Test
  void aSuperblockWithAWrongChecksumIsRefused() throws IOException {
    assertThat(load("superblock.hex")).isEqualTo(Superblock.BYTES);
    flip(8 * 1000);

    assertThatThrownBy(this::readAsSuperblock)
        .isInstanceOf(RecoveryException.class)
        .hasMessage("log: both copies of the superblock are damaged");
  }

  /** Puts the loaded bytes on a disk, as copy 1, and reads them as at start. */
  private Superblock.Values readAsSuperblock() throws RecoveryException {
    SimDisk disk = new SimDisk(1 << 20, 4);
    SimLogStorage storage = new SimLogStorage(disk, new SimCore(0), new SimRandom(1));
    SuperblockStore store = new SuperblockStore(storage);
    try {
      assertThat(storage.writeSuperblock(1, address, (context, result) -> {}, 0)).isTrue();
      return store.read("log");
    } finally {
      store.close();
      disk.close();
    }
  }

  private static void assertRecord(
      RecordHeader record,
      int type,
      int flags,
      int group,
      long term,
      long index,
      long firstBlock,
      int blockCount,
      int payloadBlock) {
    assertThat(record.type()).isEqualTo(type);
    assertThat(record.flags()).isEqualTo(flags);
    assertThat(record.group()).isEqualTo(group);
    assertThat(record.term()).isEqualTo(term);
    assertThat(record.index()).isEqualTo(index);
    assertThat(record.firstBlock()).isEqualTo(firstBlock);
    assertThat(record.blockCount()).isEqualTo(blockCount);
    assertThat(record.payloadBlock()).isEqualTo(payloadBlock);
  }

  /** Returns the checksum that a batch header ought to have. */
  private int batchChecksum(int length) {
    int stored = buffer.getInt(BatchHeader.CRC_OFFSET);
    buffer.putInt(BatchHeader.CRC_OFFSET, 0);
    int result = memory.crc32c(crc, address, length);
    buffer.putInt(BatchHeader.CRC_OFFSET, stored);
    return result;
  }

  private void flip(int bit) {
    buffer.putByte(bit / 8, (byte) (buffer.getByte(bit / 8) ^ (1 << (bit % 8))));
  }

  private int load(String name) throws IOException {
    byte[] golden = GoldenFile.read(name);
    buffer.putBytes(0, golden);
    return golden.length;
  }

  private byte[] bytes(int length) {
    byte[] result = new byte[length];
    buffer.getBytes(0, result);
    return result;
  }
}
