package io.plinth.log.format;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.LogFile;
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

  /** Behind the batch of batch.hex in its block. */
  private static final int SHARED_START = 12288 + 440;

  private static final Superblock.Values SUPERBLOCK =
      new Superblock.Values(
          SEGMENT_BYTES,
          9,
          LOG_ID,
          UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"),
          UUID.fromString("123e4567-e89b-12d3-a456-426614174000"),
          6,
          4240,
          new Superblock.Start(4200, 0x55AA55AA, 12, 8192),
          new Superblock.CheckpointPlace(0x123456, 9000, 0x600DC0DE),
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
    int relocate = RecordHeader.encodedBytes(RecordHeader.RELOCATE, 2);
    int map = RecordHeader.encodedBytes(RecordHeader.MAP, 1);
    int meta = RecordHeader.encodedBytes(RecordHeader.META, 3);
    int headerBytes = BatchHeader.BYTES + write + unmap + command + relocate + map + meta;
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
    encodeLocalRecords(at + write + unmap + command, relocate, map, meta);
    BatchHeader batch = new BatchHeader().wrap(address, headerBytes);
    batch.encode(headerBytes, LOG_ID, 42, 40, 0xCAFEBABE, 6, 1, 9, 1_795_000_000_123L, 7, 12288, 4);
    batch.headerCrc(memory.crc32c(crc, address, headerBytes));

    assertThat(bytes(headerBytes)).isEqualTo(golden);
  }

  private static void encodeLocalRecords(long at, int relocate, int map, int meta) {
    RecordHeader record = new RecordHeader().wrap(at, relocate);
    record.encode(RecordHeader.RELOCATE, 0, 5, 0, 0, 0, 2, 4);
    record.checksum(0, 0x01020304);
    record.checksum(1, 0x05060708);
    record.blockAndPlace(0, 0x1234, 0x987654321L);
    record.blockAndPlace(1, 0x1235, 0x987654322L);
    record.wrap(at + relocate, map).encode(RecordHeader.MAP, 0, 9, 2, 77, 0, 1, 0);
    record.checksum(0, 0xA1B2C3D4);
    record.blockAndPlace(0, 0x42, 0x4242);
    record
        .wrap(at + relocate + map, meta)
        .encode(RecordHeader.META, RecordHeader.TABLE, 0, 0, 0, 0, 3, 6);
    for (int i = 0; i < 3; i++) {
      record.checksum(i, i + 1);
      record.number(i, i + 11);
    }
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
    assertThat(batch.recordCount()).isEqualTo(6);
    assertThat(batch.headerBlocks()).isEqualTo(1);
    assertThat(batch.payloadBlocks()).isEqualTo(9);
    assertThat(batch.starts()).isEqualTo(7);
    assertThat(batch.headerStart()).isEqualTo(12288);
    assertThat(batch.payloadStart()).isEqualTo(4);
    assertThat(batch.endOffset()).isEqualTo(13 * 4096);
    assertThat(batch.sharedStart()).isEqualTo(12288 + length);
    assertThat(batch.epochMs()).isEqualTo(1_795_000_000_123L);
    assertThat(batch.checksum(memory, crc, address)).isEqualTo(batch.headerCrc());
    assertThat(batch.isPossible(12288, 13 * 4096)).isTrue();
    assertThat(batch.isPossible(12288, 13 * 4096 - 1)).as("in too little room").isFalse();
    assertThat(batch.isPossible(8192, SEGMENT_BYTES)).as("at another place").isFalse();
    assertThat(batch.headerCrc()).isEqualTo(batchChecksum(length));
  }

  @Test
  void aHeaderThatSharesABlockIsEncodedToTheStoredBytes() throws IOException {
    int unmap = RecordHeader.encodedBytes(RecordHeader.UNMAP, 8);
    int headerBytes = BatchHeader.BYTES + unmap;
    new RecordHeader()
        .wrap(address + BatchHeader.BYTES, unmap)
        .encode(RecordHeader.UNMAP, 0, 7, 3, 1003, 64, 8, 0);
    BatchHeader batch = new BatchHeader().wrap(address, headerBytes);
    batch.encode(
        headerBytes, LOG_ID, 43, 40, 0x12345678, 1, 0, 0, 1_795_000_000_124L, 7, SHARED_START, 13);
    batch.headerCrc(memory.crc32c(crc, address, headerBytes));

    assertThat(bytes(headerBytes)).isEqualTo(GoldenFile.read("shared-batch.hex"));
  }

  @Test
  void theStoredHeaderThatSharesABlockIsDecodedToItsValues() throws IOException {
    int length = load("shared-batch.hex");
    BatchHeader batch = new BatchHeader().wrap(address, length);

    assertThat(batch.headerBlocks()).isZero();
    assertThat(batch.headerStart()).isEqualTo(SHARED_START);
    assertThat(batch.endOffset()).isEqualTo(13 * 4096);
    assertThat(batch.sharedStart()).isEqualTo(SHARED_START + length);
    assertThat(batch.checksum(memory, crc, address)).isEqualTo(batch.headerCrc());
    assertThat(batch.isPossible(SHARED_START, 13 * 4096)).isTrue();
    assertThat(batch.isPossible(SHARED_START, 13 * 4096 - 1)).as("in too little room").isFalse();
    assertThat(batch.isPossible(12288, SEGMENT_BYTES)).as("as the first of a block").isFalse();
  }

  @Test
  void aHeaderSharesABlockOnlyWhereItsFixedPartFits() {
    assertThat(BatchHeader.sharedAfter(4096 + 100)).isEqualTo(4096 + 104);
    assertThat(BatchHeader.sharedAfter(8192 - BatchHeader.BYTES))
        .isEqualTo(8192 - BatchHeader.BYTES);
    assertThat(BatchHeader.sharedAfter(8192 - BatchHeader.BYTES + 1)).isZero();
    assertThat(BatchHeader.sharedAfter(8192)).isZero();
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
    assertThat(command.isPossible(RecordHeader.BYTES + 8, 4)).as("trailer cut off").isFalse();
    assertRecord(command, RecordHeader.COMMAND, 0, 0, 4, 55, 0, 11, 0);
    assertThat(command.command()).asString(US_ASCII).isEqualTo("create demo");

    at += RecordHeader.encodedBytes(command.type(), command.blockCount());
    RecordHeader relocate = new RecordHeader().wrap(address + at, end - at);
    assertThat(relocate.isPossible(end - at, 6)).isTrue();
    assertThat(relocate.isPossible(end - at, 5)).as("payload beyond the batch").isFalse();
    assertRecord(relocate, RecordHeader.RELOCATE, 0, 5, 0, 0, 0, 2, 4);
    assertThat(relocate.checksum(1)).isEqualTo(0x05060708);
    assertThat(relocate.block(1)).isEqualTo(0x1235);
    assertThat(relocate.place(1)).isEqualTo(0x987654322L);

    at += RecordHeader.encodedBytes(relocate.type(), relocate.blockCount());
    RecordHeader map = new RecordHeader().wrap(address + at, end - at);
    assertRecord(map, RecordHeader.MAP, 0, 9, 2, 77, 0, 1, 0);
    assertThat(map.checksum(0)).isEqualTo(0xA1B2C3D4);
    assertThat(map.block(0)).isEqualTo(0x42);
    assertThat(map.place(0)).isEqualTo(0x4242);

    at += RecordHeader.encodedBytes(map.type(), map.blockCount());
    RecordHeader meta = new RecordHeader().wrap(address + at, end - at);
    assertRecord(meta, RecordHeader.META, RecordHeader.TABLE, 0, 0, 0, 0, 3, 6);
    assertThat(meta.checksum(2)).isEqualTo(3);
    assertThat(meta.number(2)).isEqualTo(13);
    assertThat(at + RecordHeader.encodedBytes(meta.type(), meta.blockCount())).isEqualTo(end);
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
        .hasMessage("log: format version 2; this program reads version 3");
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
    SimLogStorage storage = new SimLogStorage(disk, new SimCore(0, 0), new SimRandom(1));
    SuperblockStore store = new SuperblockStore(storage);
    try {
      // With a segment in use: else the log would be taken for a new one.
      storage.prepare(0);
      LogFile segment = null;
      while (segment == null) {
        segment = storage.takePrepared();
      }
      disk.content(0).buffer(0, Long.BYTES).putLong(0, SegmentHeader.MAGIC);
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
