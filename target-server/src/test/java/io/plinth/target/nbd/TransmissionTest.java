package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_CACHE;
import static io.plinth.target.nbd.NbdProtocol.CMD_DISC;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_DF;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FAST_ZERO;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FUA;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_NO_HOLE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_REQ_ONE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_TRIM;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE_ZEROES;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_ERROR;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_NONE;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_OFFSET_DATA;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_OFFSET_HOLE;
import static io.plinth.target.nbd.TestClient.assemble;
import static io.plinth.target.nbd.TestClient.contextData;
import static io.plinth.target.nbd.TestClient.infoData;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.target.nbd.TestClient.Chunk;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** The transmission phase, rule by rule. */
@ParameterizedClass
@EnumSource(Split.class)
class TransmissionTest {
  private static final int SIZE = 64 << 20;
  private static final int MAX_PAYLOAD = 32 << 20;

  @Parameter Split split;

  private final TestServer server = new TestServer();
  private final MemoryVolume volume = server.volume("demo", 0, SIZE);
  private final SplittableRandom random = new SplittableRandom(42);

  private boolean drained;

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private TestClient simple() {
    return server.connect(split).openSimple("demo");
  }

  private TestClient structured() {
    return server.connect(split).openStructured("demo");
  }

  private byte[] randomBytes(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  /** Begins to shut down. */
  private void drain() {
    server.acceptor.drain(server.cores.get(0), () -> drained = true);
  }

  private byte[] content(int offset, int length) {
    return volume.content(offset, length);
  }

  // Replies.

  @Test
  void R1_cookieIsEchoedUnchanged() {
    TestClient client = simple();
    for (long cookie : new long[] {0, -1, 0x0123456789abcdefL, Long.MIN_VALUE}) {
      client.request(CMD_FLUSH, 0, cookie, 0, 0).expectSimple(0, cookie);
      client.request(999, 0, cookie, 0, 0).expectSimple(22, cookie);
    }
  }

  @Test
  void R1_repliesComeInTheOrderOfCompletion() {
    TestClient client = simple();
    volume.immediate = false;
    for (int i = 0; i < 5; i++) {
      client.request(CMD_FLUSH, 0, i, 0, 0);
    }
    client.expectQuiet();
    for (int i = 4; i >= 0; i--) {
      volume.complete(i);
      client.expectSimple(0, i);
    }
    client.expectQuiet();
  }

  @Test
  void R2_withoutStructuredRepliesEverythingIsSimple() {
    TestClient client = simple();
    byte[] data = randomBytes(8192);
    client.write(0, 1, 4096, data).expectSimple(0, 1);
    client.request(CMD_READ, 0, 2, 0, 16384);
    assertThat(client.simpleRead(2, 16384)).isEqualTo(content(0, 16384));
    client.request(CMD_READ, 0, 3, SIZE, 512).expectSimple(22, 3);
    client.request(CMD_BLOCK_STATUS, 0, 4, 0, 512).expectSimple(22, 4);
    client.expectQuiet();
  }

  @Test
  void R2_withStructuredRepliesReadIsNeverSimple() {
    TestClient client = structured();
    client.request(CMD_READ, 0, 1, 0, 0);
    List<Chunk> empty = client.chunks(1);
    assertThat(empty).hasSize(1);
    assertThat(empty.get(0).type()).isEqualTo(REPLY_TYPE_NONE);
    assertThat(empty.get(0).payload()).isEmpty();
    client.request(CMD_READ, 0xffff, 2, 0, 512);
    assertThat(client.chunk().error()).isEqualTo(22);
    client.request(CMD_READ, 0, 3, SIZE, 512);
    assertThat(client.chunk().error()).isEqualTo(22);
    volume.status = Status.EIO;
    client.request(CMD_READ, 0, 4, 0, 512);
    assertThat(client.chunk().error()).isEqualTo(5);
    client.expectQuiet();
  }

  @Test
  void errorChunksCarryASentence() {
    TestClient client = structured();
    client.request(CMD_TRIM, 0, 1, 0, 100);
    Chunk chunk = client.chunk();
    assertThat(chunk.done()).isTrue();
    assertThat(chunk.error()).isEqualTo(22);
    int length = chunk.buffer().getShort(4);
    assertThat(chunk.payload()).hasSize(6 + length);
    assertThat(new String(chunk.payload(), 6, length, US_ASCII)).contains("512");
  }

  @Test
  void R3_doneIsOnExactlyTheLastChunk() {
    TestClient client = structured();
    volume.fill(8192, randomBytes(4096));
    volume.fill(20480, randomBytes(4096));
    client.request(CMD_READ, 0, 1, 0, 32768);
    // chunks() reads up to the first DONE: nothing may follow.
    List<Chunk> chunks = client.chunks(1);
    assertThat(chunks)
        .extracting(Chunk::type)
        .containsExactly(
            REPLY_TYPE_OFFSET_HOLE,
            REPLY_TYPE_OFFSET_DATA,
            REPLY_TYPE_OFFSET_HOLE,
            REPLY_TYPE_OFFSET_DATA,
            REPLY_TYPE_OFFSET_HOLE);
    client.expectQuiet();
  }

  @Test
  void R3_singleDataChunkCarriesDone() {
    TestClient client = structured();
    volume.fill(0, randomBytes(4096));
    client.request(CMD_READ, 0, 1, 0, 4096);
    List<Chunk> chunks = client.chunks(1);
    assertThat(chunks).hasSize(1);
    assertThat(assemble(chunks, 0, 4096)).isEqualTo(content(0, 4096));
  }

  @Test
  void R4_chunksCoverTheRequestWithoutOverlap() {
    TestClient client = structured();
    for (int i = 0; i < 300; i++) {
      volume.fill(512 * random.nextInt(2000), randomBytes(512 * random.nextInt(1, 20)));
    }
    for (int rangeBytes : new int[] {512, 4096, 1 << 20}) {
      volume.rangeBytes = rangeBytes;
      for (int i = 0; i < 20; i++) {
        int offset = 512 * random.nextInt(1000);
        int length = 512 * random.nextInt(1, 1000);
        client.request(CMD_READ, 0, i, offset, length);
        assertThat(assemble(client.chunks(i), offset, length)).isEqualTo(content(offset, length));
      }
    }
  }

  @Test
  void R4_zeroesShorterThanABlockAreSentAsData() {
    TestClient client = structured();
    volume.fill(0, randomBytes(512));
    volume.fill(4096, randomBytes(512));
    client.request(CMD_READ, 0, 1, 0, 4608);
    List<Chunk> chunks = client.chunks(1);
    assertThat(chunks).hasSize(1);
    assertThat(assemble(chunks, 0, 4608)).isEqualTo(content(0, 4608));
  }

  @Test
  void R5_R6_failedReadSendsItsErrorAndNoData() {
    volume.status = Status.EIO;
    TestClient structured = structured();
    structured.request(CMD_READ, 0, 1, 0, 65536);
    assertThat(structured.chunks(1)).extracting(Chunk::type).containsExactly(REPLY_TYPE_ERROR);
    structured.expectQuiet();
    TestClient simple = simple();
    simple.request(CMD_READ, 0, 2, 0, 65536).expectSimple(5, 2);
    simple.expectQuiet();
  }

  @Test
  void R7_dfGivesOneDataChunkAtAnyLength() {
    TestClient client = structured();
    volume.fill(8192, randomBytes(4096));
    for (int length : new int[] {512, 16384, 65536, MAX_PAYLOAD}) {
      client.request(CMD_READ, CMD_FLAG_DF, 1, 0, length);
      List<Chunk> chunks = client.chunks(1);
      assertThat(chunks).extracting(Chunk::type).containsExactly(REPLY_TYPE_OFFSET_DATA);
      assertThat(assemble(chunks, 0, length)).isEqualTo(content(0, length));
    }
  }

  @Test
  void R8_chunksAreNotLongerThanTheMaximumPayload() {
    TestClient client = structured();
    volume.fill(0, randomBytes(MAX_PAYLOAD));
    client.request(CMD_READ, 0, 1, 0, MAX_PAYLOAD);
    List<Chunk> chunks = client.chunks(1);
    assertThat(chunks).allMatch(chunk -> chunk.payload().length <= MAX_PAYLOAD + 8);
    assertThat(assemble(chunks, 0, MAX_PAYLOAD)).isEqualTo(content(0, MAX_PAYLOAD));
  }

  @Test
  void fragmentedReadOfTheMaximumGoesOutInPieces() {
    server.connectionEntries = 16;
    volume.fill(0, randomBytes(MAX_PAYLOAD));
    volume.rangeBytes = 4096;
    TestClient simple = simple();
    simple.request(CMD_READ, 0, 1, 0, MAX_PAYLOAD);
    simple.request(CMD_FLUSH, 0, 2, 0, 0);
    assertThat(simple.simpleRead(1, MAX_PAYLOAD)).isEqualTo(content(0, MAX_PAYLOAD));
    simple.expectSimple(0, 2);
    TestClient structured = structured();
    structured.request(CMD_READ, 0, 3, 0, MAX_PAYLOAD);
    assertThat(assemble(structured.chunks(3), 0, MAX_PAYLOAD)).isEqualTo(content(0, MAX_PAYLOAD));
  }

  @Test
  void unmappedReadOfTheMaximumIsZeroes() {
    server.connectionEntries = 8;
    TestClient simple = simple();
    simple.request(CMD_READ, 0, 1, 0, MAX_PAYLOAD);
    assertThat(simple.simpleRead(1, MAX_PAYLOAD)).isEqualTo(new byte[MAX_PAYLOAD]);
    TestClient structured = structured();
    structured.request(CMD_READ, 0, 2, 512, MAX_PAYLOAD);
    List<Chunk> chunks = structured.chunks(2);
    assertThat(chunks).extracting(Chunk::type).containsExactly(REPLY_TYPE_OFFSET_HOLE);
    assertThat(assemble(chunks, 512, MAX_PAYLOAD)).isEqualTo(new byte[MAX_PAYLOAD]);
  }

  // BLOCK_STATUS.

  private static List<long[]> extents(Chunk chunk) {
    assertThat(chunk.type()).isEqualTo(REPLY_TYPE_BLOCK_STATUS);
    assertThat(chunk.done()).isTrue();
    ByteBuffer payload = chunk.buffer();
    assertThat(payload.getInt()).as("context").isEqualTo(1);
    assertThat(payload.remaining() % 8).isZero();
    List<long[]> extents = new ArrayList<>();
    while (payload.hasRemaining()) {
      extents.add(new long[] {payload.getInt() & 0xffffffffL, payload.getInt()});
    }
    return extents;
  }

  @Test
  void B1_blockStatusWithoutSelectedContextIsInvalid() {
    TestClient client = server.connect(split).greet();
    client.option(NbdProtocol.OPT_STRUCTURED_REPLY);
    client.expectAck(NbdProtocol.OPT_STRUCTURED_REPLY);
    client.option(NbdProtocol.OPT_GO, infoData("demo")).repliesUntilAck(NbdProtocol.OPT_GO);
    client.request(CMD_BLOCK_STATUS, 0, 1, 0, 4096);
    assertThat(client.chunk().error()).isEqualTo(22);
  }

  @Test
  void B1_failedSelectionForgetsTheEarlierOne() {
    TestClient client = server.connect(split).greet();
    client.option(NbdProtocol.OPT_STRUCTURED_REPLY);
    client.expectAck(NbdProtocol.OPT_STRUCTURED_REPLY);
    int set = NbdProtocol.OPT_SET_META_CONTEXT;
    client.option(set, contextData("demo", "base:allocation")).repliesUntilAck(set);
    client.option(set, new byte[3]).expectError(set, NbdProtocol.REP_ERR_INVALID);
    client.option(NbdProtocol.OPT_GO, infoData("demo")).repliesUntilAck(NbdProtocol.OPT_GO);
    client.request(CMD_BLOCK_STATUS, 0, 1, 0, 4096);
    assertThat(client.chunk().error()).isEqualTo(22);
  }

  @Test
  void B1_selectionForAnotherExportDoesNotCount() {
    server.volume("other", 0, SIZE);
    TestClient client = server.connect(split).greet();
    client.option(NbdProtocol.OPT_STRUCTURED_REPLY);
    client.expectAck(NbdProtocol.OPT_STRUCTURED_REPLY);
    int set = NbdProtocol.OPT_SET_META_CONTEXT;
    client.option(set, contextData("other", "base:allocation")).repliesUntilAck(set);
    client.option(NbdProtocol.OPT_GO, infoData("demo")).repliesUntilAck(NbdProtocol.OPT_GO);
    client.request(CMD_BLOCK_STATUS, 0, 1, 0, 4096);
    assertThat(client.chunk().error()).isEqualTo(22);
  }

  @Test
  void B2_B3_extentsDescribeTheRange() {
    TestClient client = structured();
    volume.fill(8192, randomBytes(4096));
    client.request(CMD_BLOCK_STATUS, 0, 1, 4096, 65536);
    List<long[]> extents = extents(client.chunk());
    assertThat(extents).hasSize(3);
    assertThat(extents.get(0)).containsExactly(4096, 3);
    assertThat(extents.get(1)).containsExactly(4096, 0);
    assertThat(extents.get(2)).containsExactly(65536 - 8192, 3);
  }

  @Test
  void B2_reqOneGivesOneExtent() {
    TestClient client = structured();
    volume.fill(8192, randomBytes(4096));
    client.request(CMD_BLOCK_STATUS, CMD_FLAG_REQ_ONE | CMD_FLAG_FUA, 1, 0, 65536);
    List<long[]> extents = extents(client.chunk());
    assertThat(extents).hasSize(1);
    assertThat(extents.get(0)).containsExactly(8192, 3);
    assertThat(volume.log).containsExactly("BLOCK_STATUS 0+65536 one");
  }

  @Test
  void B2_manyExtentsAreCutAtTheLimit() {
    TestClient client = structured();
    for (int i = 0; i < 6000; i++) {
      volume.fill(i * 8192, new byte[4096]);
    }
    client.request(CMD_BLOCK_STATUS, 0, 1, 0, 6000 * 8192);
    List<long[]> extents = extents(client.chunk());
    assertThat(extents).hasSize(2000);
    assertThat(extents).allMatch(extent -> extent[0] == 4096);
  }

  // Durability, as far as it shows here.

  @Test
  void D1_fuaWriteIsAnsweredOnlyWhenTheVolumeSaysSo() {
    TestClient client = simple();
    volume.immediate = false;
    client.write(CMD_FLAG_FUA, 1, 0, randomBytes(512));
    client.expectQuiet();
    assertThat(volume.log).containsExactly("WRITE 0+512 fua");
    volume.completeAll();
    client.expectSimple(0, 1);
  }

  @Test
  void D1_fuaIsAcceptedOnEveryCommandAndPassedOnWithWrites() {
    TestClient client = structured();
    client.request(CMD_READ, CMD_FLAG_FUA, 1, 0, 512).chunks(1);
    client.request(CMD_FLUSH, CMD_FLAG_FUA, 2, 0, 0).expectSimple(0, 2);
    client.request(CMD_TRIM, CMD_FLAG_FUA, 3, 0, 512).expectSimple(0, 3);
    client.request(CMD_CACHE, CMD_FLAG_FUA, 4, 0, 512).expectSimple(0, 4);
    client.request(CMD_WRITE_ZEROES, CMD_FLAG_FUA, 5, 0, 512).expectSimple(0, 5);
    client.request(CMD_BLOCK_STATUS, CMD_FLAG_FUA, 6, 0, 512).chunks(6);
    assertThat(volume.log)
        .containsExactly(
            "READ 0+512",
            "FLUSH 0+0",
            "TRIM 0+512 fua",
            "CACHE 0+512",
            "WRITE_ZEROES 0+512 fua",
            "BLOCK_STATUS 0+512");
  }

  @Test
  void D2_flushIsAnsweredOnlyWhenTheVolumeSaysSo() {
    TestClient client = simple();
    volume.immediate = false;
    client.request(CMD_FLUSH, 0, 1, 0, 0).expectQuiet();
    volume.completeAll();
    client.expectSimple(0, 1);
  }

  @Test
  void D3_readAfterTheReplySeesTheWrite() {
    TestClient writer = simple();
    TestClient reader = structured();
    byte[] data = randomBytes(4096);
    writer.write(0, 1, 4096, data).expectSimple(0, 1);
    reader.request(CMD_READ, 0, 2, 4096, 4096);
    assertThat(assemble(reader.chunks(2), 4096, 4096)).isEqualTo(data);
  }

  // Commands.

  @Test
  void writesOfEverySizeArriveWhole() {
    TestClient client = simple();
    int[] sizes = {
      512,
      4096,
      60 << 10,
      (60 << 10) + 512,
      (128 << 10) - 512,
      128 << 10,
      (256 << 10) - 512,
      256 << 10,
      (256 << 10) + 512,
      1 << 20,
      (1 << 20) + 512,
      MAX_PAYLOAD
    };
    for (int size : sizes) {
      byte[] data = randomBytes(size);
      client.write(0, size, 512, data);
      client.request(CMD_FLUSH, 0, 7, 0, 0);
      client.expectSimple(0, size);
      client.expectSimple(0, 7);
      assertThat(content(512, size)).isEqualTo(data);
    }
    assertThat(server.chunksInUse()).isZero();
  }

  @Test
  void pipelinedWritesOfMixedSizesStayInOrder() {
    TestClient client = simple();
    List<byte[]> written = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      byte[] data = randomBytes(512 * random.nextInt(1, i % 4 == 0 ? 1200 : 60));
      written.add(data);
      client.write(0, i, i << 20, data);
    }
    for (int i = 0; i < 40; i++) {
      client.expectSimple(0, i);
      assertThat(content(i << 20, written.get(i).length)).isEqualTo(written.get(i));
    }
  }

  @Test
  void trimAndWriteZeroesReachTheVolume() {
    TestClient client = simple();
    volume.fill(0, randomBytes(65536));
    client.request(CMD_TRIM, 0, 1, 0, 4096).expectSimple(0, 1);
    client.request(CMD_WRITE_ZEROES, CMD_FLAG_NO_HOLE, 2, 4096, 4096).expectSimple(0, 2);
    client.request(CMD_WRITE_ZEROES, CMD_FLAG_FAST_ZERO, 3, 8192, 512).expectSimple(0, 3);
    client.request(CMD_CACHE, 0, 4, 0, 65536).expectSimple(0, 4);
    assertThat(volume.log)
        .containsExactly(
            "TRIM 0+4096",
            "WRITE_ZEROES 4096+4096 no-hole",
            "WRITE_ZEROES 8192+512",
            "CACHE 0+65536");
    client.request(CMD_READ, 0, 5, 0, 8704);
    assertThat(client.simpleRead(5, 8704)).containsOnly(0);
  }

  @Test
  void commandsWithoutPayloadMayBeLongerThanTheMaximumPayload() {
    TestClient client = simple();
    client.request(CMD_TRIM, 0, 1, 0, SIZE).expectSimple(0, 1);
    client.request(CMD_WRITE_ZEROES, 0, 2, 0, SIZE).expectSimple(0, 2);
    client.request(CMD_CACHE, 0, 3, 0, SIZE).expectSimple(0, 3);
  }

  @Test
  void failuresOfTheVolumeBecomeTheErrnosOfTheText() {
    int[][] table = {
      {Status.EPERM, 1},
      {Status.EIO, 5},
      {Status.ENOMEM, 5},
      {Status.EINVAL, 22},
      {Status.ENOSPC, 28},
      {Status.EOVERFLOW, 75},
      {Status.ESHUTDOWN, 108},
      {Status.ETIMEDOUT, 5},
      {Status.ENOTSUP, 22}
    };
    TestClient simple = simple();
    TestClient structured = structured();
    for (int[] row : table) {
      volume.status = row[0];
      simple.write(0, 1, 0, new byte[512]).expectSimple(row[1], 1);
      structured.write(0, 1, 0, new byte[512]);
      assertThat(structured.chunk().error()).isEqualTo(row[1]);
    }
    volume.status = Status.ENOTSUP;
    simple.request(CMD_WRITE_ZEROES, CMD_FLAG_FAST_ZERO, 1, 0, 512).expectSimple(95, 1);
    simple.request(CMD_WRITE_ZEROES, 0, 1, 0, 512).expectSimple(22, 1);
  }

  /** No errno says so: a client that connects again asks again. */
  @Test
  void anUnknownOutcomeEndsTheConnectionWithoutAReply() {
    volume.status = Status.ESTALE;
    TestClient atOnce = simple();
    atOnce.write(0, 1, 0, new byte[512]).write(0, 2, 512, new byte[512]).expectClosed();
    TestClient later = simple();
    volume.immediate = false;
    later.write(0, 1, 0, new byte[512]).write(0, 2, 512, new byte[512]);
    later.expectQuiet();
    volume.completeAll();
    later.expectClosed();
    assertThat(volume.attachmentCount()).isZero();
  }

  @Test
  void whatComesBeforeTheVolumeAdmitsItsClientIsLookedAtThen() {
    volume.letsWait = true;
    TestClient client = simple();
    client.write(0, 1, 0, new byte[512]).write(0, 2, 512, new byte[512]).expectQuiet();
    assertThat(volume.log).isEmpty();
    volume.admit();
    client.expectSimple(0, 1);
    client.expectSimple(0, 2);
  }

  @Test
  void whoHasGoneBeforeItIsAdmittedAsksForNothing() {
    volume.letsWait = true;
    TestClient client = simple();
    client.write(0, 1, 0, new byte[512]).expectQuiet();
    client.link().connection.peerEnded = true;
    volume.admit();
    client.expectClosed();
    assertThat(volume.log).isEmpty();
  }

  @Test
  void whoIsNotAdmittedYetDoesNotHoldUpTheEndOfTheServer() {
    volume.letsWait = true;
    TestClient client = simple();
    client.write(0, 1, 0, new byte[512]).expectQuiet();
    drain();
    client.expectClosed();
    assertThat(volume.log).isEmpty();
    assertThat(drained).isTrue();
  }

  /** What it has sent and what was not read yet, and what the volume has not begun. */
  @Test
  void aFenceEndsWhatAClientThatHasGoneHasAskedFor() {
    TestClient stays = simple();
    TestClient goes = simple();
    volume.immediate = false;
    stays.write(0, 1, 0, new byte[512]).expectQuiet();
    goes.write(0, 1, 512, new byte[512]).expectQuiet();
    volume.refusals = 1;
    goes.write(0, 2, 1024, new byte[512]).expectQuiet();
    volume.fence();
    assertThat(volume.abandonedCount()).isZero();
    goes.link().connection.peerEnded = true;
    assertThat(volume.abandonedCount()).isZero();
    volume.fence();
    assertThat(volume.abandonedCount()).isEqualTo(1);
    volume.becomeReady();
    goes.expectClosed();
    assertThat(volume.log).containsExactly("WRITE 0+512", "WRITE 512+512");
    volume.completeAll();
    stays.expectSimple(0, 1);
  }

  @Test
  void discFinishesWhatIsOutstandingAndCloses() {
    TestClient client = simple();
    volume.immediate = false;
    volume.fill(0, randomBytes(4096));
    client.request(CMD_READ, 0, 1, 0, 4096).write(0, 2, 4096, new byte[512]);
    client.request(CMD_DISC, 0, 3, 0, 0).send(new byte[100_000]);
    client.expectQuiet();
    volume.completeAll();
    assertThat(client.simpleRead(1, 4096)).isEqualTo(content(0, 4096));
    client.expectSimple(0, 2);
    client.expectClosed();
  }

  @Test
  void discWithNothingOutstandingClosesWithoutReply() {
    simple().request(CMD_DISC, 0xffff, 1, 5, 5).expectClosed();
  }

  // Errors.

  @Test
  void E1_unknownCommandKeepsStreamInSync() {
    TestClient client = simple();
    client.request(8, 0, 1, 0, 1000).request(0xffff, 0, 2, 0, 0).request(CMD_FLUSH, 0, 3, 0, 0);
    client.expectSimple(22, 1);
    client.expectSimple(22, 2);
    client.expectSimple(0, 3);
    assertThat(server.contexts.get(0).counters().invalidRequests()).isEqualTo(2);
  }

  @Test
  void E1_payloadOfAnInvalidWriteIsConsumed() {
    TestClient client = simple();
    for (int size : new int[] {512, 60 << 10, 100 << 10, 1 << 20, MAX_PAYLOAD}) {
      client.write(0x8000, 1, 0, randomBytes(size));
      client.request(CMD_FLUSH, 0, 2, 0, 0);
      client.expectSimple(22, 1);
      client.expectSimple(0, 2);
    }
    assertThat(volume.log).containsOnly("FLUSH 0+0");
  }

  @Test
  void E2_pastTheEnd() {
    TestClient client = simple();
    client.request(CMD_READ, 0, 1, SIZE - 512, 1024).expectSimple(22, 1);
    client.request(CMD_TRIM, 0, 2, SIZE, 512).expectSimple(22, 2);
    client.write(0, 3, SIZE - 512, new byte[1024]).expectSimple(28, 3);
    client.request(CMD_WRITE_ZEROES, 0, 4, SIZE - 512, 1024).expectSimple(28, 4);
    client.request(CMD_READ, 0, 5, -512, 1024).expectSimple(22, 5);
    client.write(0, 6, Long.MAX_VALUE - 511, new byte[1024]).expectSimple(28, 6);
    client.request(CMD_CACHE, 0, 7, SIZE - 512, 1024).expectSimple(22, 7);
    assertThat(volume.log).isEmpty();
  }

  @Test
  void E3_misaligned() {
    TestClient client = simple();
    client.request(CMD_READ, 0, 1, 1, 512).expectSimple(22, 1);
    client.write(0, 2, 0, new byte[511]).expectSimple(22, 2);
    client.write(0, 3, 100, new byte[412]).expectSimple(22, 3);
    client.request(CMD_FLUSH, 0, 4, 0, 0).expectSimple(0, 4);
  }

  @Test
  void E4_zeroLengthRequestsAreAnswered() {
    TestClient client = simple();
    for (int command : new int[] {CMD_READ, CMD_WRITE, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES}) {
      client.request(command, 0, command, 4096, 0).expectSimple(0, command);
    }
    client.request(CMD_BLOCK_STATUS, 0, 9, 0, 0).expectSimple(22, 9);
    client.request(CMD_FLUSH, 0, 10, 0, 0).expectSimple(0, 10);
    TestClient structured = structured();
    structured.request(CMD_BLOCK_STATUS, 0, 11, 0, 0);
    assertThat(structured.chunk().error()).isEqualTo(22);
  }

  @Test
  void E5_requestsDuringShutdownAreRefusedAndWhatIsInFlightIsFinished() {
    TestClient client = simple();
    volume.immediate = false;
    client.write(0, 1, 0, randomBytes(512));
    server.run();
    drain();
    client.request(CMD_READ, 0, 2, 0, 512).write(0, 3, 0, new byte[512]);
    client.expectSimple(108, 2);
    client.expectSimple(108, 3);
    client.expectQuiet();
    assertThat(drained).isFalse();
    volume.completeAll();
    client.expectSimple(0, 1);
    client.expectClosed();
    server.run();
    assertThat(drained).isTrue();
  }

  @Test
  void E5_requestsBehindTheLastReplyAreRefusedBeforeTheConnectionCloses() {
    TestClient client = simple();
    volume.immediate = false;
    client.write(0, 1, 0, randomBytes(512));
    server.run();
    drain();
    volume.completeAll();
    client.request(CMD_READ, 0, 2, 0, 512).write(0, 3, 0, new byte[100_000]);
    client.request(999, 0, 4, 0, 0);
    client.expectSimple(0, 1);
    client.expectSimple(108, 2);
    client.expectSimple(108, 3);
    client.expectSimple(108, 4);
    client.expectClosed();
    assertThat(drained).isTrue();
  }

  @Test
  void E5_requestsThatHaveArrivedAtAnIdleConnectionAreRefusedBeforeItCloses() {
    TestClient client = simple();
    byte[] untouched = content(0, 512);
    client.write(0, 1, 0, randomBytes(512)).request(CMD_FLUSH, 0, 2, 0, 0);
    drain();
    client.expectSimple(108, 1);
    client.expectSimple(108, 2);
    client.expectClosed();
    assertThat(content(0, 512)).isEqualTo(untouched);
    assertThat(drained).isTrue();
  }

  @Test
  void E5_aRequestWhosePayloadIsOnItsWayIsRefusedWhenItHasArrived() {
    TestClient client = simple();
    client.request(CMD_WRITE, 0, 1, 0, 4096).send(randomBytes(1000));
    server.run();
    drain();
    client.expectQuiet();
    client.send(randomBytes(3096)).expectSimple(108, 1);
    client.expectClosed();
    assertThat(drained).isTrue();
  }

  @Test
  void E5_anIdleConnectionIsClosed() {
    TestClient client = simple();
    client.send(new byte[] {0x25, 0x60});
    server.run();
    drain();
    client.expectClosed();
    assertThat(drained).isTrue();
  }

  @Test
  void E6_badRequestMagicEndsTheConnection() {
    TestClient client = simple();
    byte[] request = TestClient.requestBytes(CMD_FLUSH, 0, 1, 0, 0);
    request[0] ^= 0x40;
    client.send(request).expectClosed();
    assertThat(server.contexts.get(0).counters().protocolViolations()).isEqualTo(1);
  }

  @Test
  void E7_writeOfTheMaximumIsServedAndLongerOnesEndTheConnection() {
    TestClient client = simple();
    byte[] data = randomBytes(MAX_PAYLOAD);
    client.write(0, 1, 0, data).expectSimple(0, 1);
    assertThat(content(0, MAX_PAYLOAD)).isEqualTo(data);
    client.request(CMD_WRITE, 0, 2, 0, MAX_PAYLOAD + 512).expectClosed();
  }

  @Test
  void E7_longerReadIsInvalid() {
    TestClient client = simple();
    client.request(CMD_READ, 0, 1, 0, MAX_PAYLOAD + 512).expectSimple(22, 1);
    client.request(CMD_READ, 0, 2, 0, 0xfffffe00L).expectSimple(22, 2);
    client.expectQuiet();
  }

  @Test
  void readOnlyVolumeRefusesToChange() {
    volume.readOnly = true;
    TestClient client = simple();
    client.write(0, 1, 0, new byte[100_000 / 512 * 512]).expectSimple(1, 1);
    client.request(CMD_TRIM, 0, 2, 0, 512).expectSimple(1, 2);
    client.request(CMD_WRITE_ZEROES, 0, 3, 0, 512).expectSimple(1, 3);
    client.request(CMD_READ, 0, 4, 0, 512);
    assertThat(client.simpleRead(4, 512)).containsOnly(0);
    client.request(CMD_FLUSH, 0, 5, 0, 0).expectSimple(0, 5);
  }

  @Test
  void readThatDoesNotAddUpIsAnErrorAndNotABrokenStream() {
    TestClient client = simple();
    volume.fill(0, randomBytes(4096));
    volume.shortReads = true;
    client.request(CMD_READ, 0, 1, 0, 4096).request(CMD_FLUSH, 0, 2, 0, 0);
    client.expectSimple(5, 1);
    client.expectSimple(0, 2);
  }
}
