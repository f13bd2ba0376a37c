package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Bits that change on the disk (guarantees G5 and G6). */
class CorruptionIT {
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 64;
  private static final int DAMAGED = 17;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void aFlippedBitOfPayloadIsAnErrorUntilTheBlockIsWrittenAgain() throws Exception {
    writeAndStop();
    long place = placeOf(pattern(DAMAGED));
    flipBit(place + 1000);

    PlinthProcess server = serve();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      byte[] data = new byte[BLOCK];
      assertThat(client.read((long) DAMAGED * BLOCK, data, BLOCK)).isEqualTo(Nbd.EIO);
      assertThat(client.read(DAMAGED * BLOCK + 512L, data, 512)).isEqualTo(Nbd.EIO);
      assertThat(client.read(0, new byte[BLOCKS * BLOCK], BLOCKS * BLOCK)).isEqualTo(Nbd.EIO);
      assertNeighboursAreGood(client);
      assertThat(server.volume("demo").get("corruptReads").asLong()).isEqualTo(3);
      assertThat(server.log())
          .containsPattern(
              "\\[ERROR\\] .*volume demo block "
                  + DAMAGED
                  + ": log-0 segment 0 offset "
                  + place
                  + " does not match its checksum");

      // A part of the block can't be merged into what can't be read.
      assertThat(client.write(DAMAGED * BLOCK + 512L, new byte[512])).isEqualTo(Nbd.EIO);
      byte[] healed = pattern(1000);
      assertThat(client.write((long) DAMAGED * BLOCK, healed)).isZero();
      assertThat(client.read((long) DAMAGED * BLOCK, data, BLOCK)).isZero();
      Bytes.assertSame("healed block", data, healed);
    }
    assertThat(server.terminate()).isZero();
  }

  @Test
  void aFlippedBitInTheHeaderOfADurableBatchIsRefused() throws Exception {
    // Killed: an orderly stop leaves a checkpoint, and nothing before it is replayed.
    writeAndKill();
    List<LogBatches.Batch> batches = batches();
    long header = batches.get(batches.size() / 2).header();
    flipBit(header + 70);
    PlinthProcess server = servers.launch(data());
    assertThat(server.awaitExit()).isEqualTo(2);
    assertThat(server.output()).isEmpty();
    assertThat(server.log().lines())
        .hasSize(1)
        .first()
        .asString()
        .matches(
            "plinth: log-0: batch [0-9]+ in segment file 0 at offset "
                + header
                + " is damaged, though it was (durable|complete): .*");
  }

  @Test
  void theHeaderOfTheNewestDurableBatchIsNotTakenForATornTail() throws Exception {
    writeAndStop();
    long header = batches().getLast().header();
    flipBit(header + 20);
    PlinthProcess server = servers.launch(data());
    assertThat(server.awaitExit()).isEqualTo(2);
    assertThat(server.log()).contains("segment file 0 at offset " + header + " is damaged");
  }

  @Test
  void garbageAfterTheLastBatchIsCut() throws Exception {
    writeAndKill();
    byte[] garbage = new byte[3 * BLOCK];
    new SplittableRandom(7).nextBytes(garbage);
    long end = endOfLog();
    overwrite(end, garbage);
    assertTailIsCutAndAllIsThere();
  }

  @Test
  void aTruncatedBatchAtTheEndIsCut() throws Exception {
    writeAndKill();
    // What a batch looks like of which only the first half of the header arrived.
    overwrite(endOfLog(), halfAHeader());
    assertTailIsCutAndAllIsThere();
  }

  @Test
  void aTruncatedBatchThatSharesTheLastHeaderBlockIsCut() throws Exception {
    writeAndKill();
    overwrite(batches().getLast().headerEnd(), halfAHeader());
    assertTailIsCutAndAllIsThere();
  }

  private byte[] halfAHeader() throws IOException {
    byte[] half = Arrays.copyOf(bytesAt(batches().getLast().header()), 48);
    ByteBuffer.wrap(half).order(ByteOrder.LITTLE_ENDIAN).putLong(24, Long.MAX_VALUE / 2);
    return half;
  }

  private void assertTailIsCutAndAllIsThere() throws Exception {
    PlinthProcess server = serve();
    assertThat(server.readyLine())
        .containsPattern("log-0: the process was killed; .* unfinished tail of [0-9]+ bytes cut");
    assertThat(server.log()).doesNotContain("[WARN]").doesNotContain("[ERROR]");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      assertNeighboursAreGood(client);
      byte[] data = new byte[BLOCK];
      assertThat(client.read((long) DAMAGED * BLOCK, data, BLOCK)).isZero();
      Bytes.assertSame("block " + DAMAGED, data, pattern(DAMAGED));
      assertThat(client.write(0, pattern(0))).isZero();
    }
    server.kill();
    assertThat(serve().readyLine()).contains("nothing cut");
  }

  /** Writes each block in a batch of its own. */
  private PlinthProcess write() throws Exception {
    PlinthProcess server = serve();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      for (int i = 0; i < BLOCKS; i++) {
        assertThat(client.write((long) i * BLOCK, pattern(i))).isZero();
      }
      assertThat(client.call(Nbd.FLUSH, 0, 0)).isZero();
    }
    return server;
  }

  private void writeAndStop() throws Exception {
    assertThat(write().terminate()).isZero();
  }

  private void writeAndKill() throws Exception {
    write().kill();
  }

  private PlinthProcess serve() throws Exception {
    return servers.serve(data(), "--volume", "demo=64M");
  }

  private Path data() {
    return directory.resolve("data");
  }

  private static void assertNeighboursAreGood(NbdClient client) throws IOException {
    byte[] data = new byte[BLOCK];
    for (int i = 0; i < BLOCKS; i++) {
      if (i != DAMAGED) {
        assertThat(client.read((long) i * BLOCK, data, BLOCK)).isZero();
        Bytes.assertSame("block " + i, data, pattern(i));
      }
    }
  }

  private static byte[] pattern(int number) {
    byte[] block = new byte[BLOCK];
    new SplittableRandom(number).nextBytes(block);
    return block;
  }

  private Path segmentFile() {
    return data().resolve("log-0/segment-00000000");
  }

  private FileChannel segment() throws IOException {
    return FileChannel.open(segmentFile(), StandardOpenOption.READ, StandardOpenOption.WRITE);
  }

  private byte[] bytesAt(long offset) throws IOException {
    try (FileChannel file = segment()) {
      byte[] block = new byte[BLOCK];
      file.read(ByteBuffer.wrap(block), offset);
      return block;
    }
  }

  private void overwrite(long offset, byte[] bytes) throws IOException {
    try (FileChannel file = segment()) {
      file.write(ByteBuffer.wrap(bytes), offset);
      file.force(true);
    }
  }

  private void flipBit(long offset) throws IOException {
    byte[] one = {(byte) (bytesAt(offset)[0] ^ 4)};
    overwrite(offset, one);
  }

  /** Returns where the one block of the segment is that holds {@code content}. */
  private long placeOf(byte[] content) throws IOException {
    for (long at = 0; at < (8 << 20); at += BLOCK) {
      if (Arrays.equals(bytesAt(at), content)) {
        return at;
      }
    }
    throw new AssertionError("the pattern is not in the first segment");
  }

  private List<LogBatches.Batch> batches() throws IOException {
    return LogBatches.in(segmentFile());
  }

  /** Returns where the next batch would begin a block. */
  private long endOfLog() throws IOException {
    return batches().getLast().end();
  }
}
