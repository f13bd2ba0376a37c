package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.tools.conformance.ReplyDecoder.Mode;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;

class ReplyDecoderTest {
  private static final Request READ = new Request(Nbd.READ, 0, 5, 4096, 1024, List.of());
  private static final Request STATUS = new Request(Nbd.BLOCK_STATUS, 0, 6, 0, 1024, List.of(3));

  /** Bytes that are there already; behind them nothing comes. */
  private record Bytes(ByteBuffer bytes) implements ByteSource {
    @Override
    public ByteBuffer read(int count) throws IOException {
      if (count > bytes.remaining()) {
        throw new NoAnswerException("no answer in time");
      }
      ByteBuffer read = bytes.slice(bytes.position(), count);
      bytes.position(bytes.position() + count);
      return read;
    }
  }

  private static Packet chunk(int flags, int type, Request request, Packet payload) {
    byte[] data = payload.toBytes();
    return new Packet()
        .u32(Nbd.STRUCTURED_REPLY_MAGIC)
        .u16(flags)
        .u16(type)
        .u64(request.cookie())
        .u32(data.length)
        .bytes(data);
  }

  private static Packet data(int flags, long offset, int length) {
    return chunk(flags, Nbd.CHUNK_DATA, READ, new Packet().u64(offset).bytes(new byte[length]));
  }

  private static Packet all(Packet... packets) {
    Packet all = new Packet();
    for (Packet packet : packets) {
      Packet _ = all.bytes(packet.toBytes());
    }
    return all;
  }

  private static Reply decode(Request request, Packet bytes) throws IOException {
    ReplyDecoder decoder =
        new ReplyDecoder(new Bytes(ByteBuffer.wrap(bytes.toBytes())), Mode.STRUCTURED, 1 << 20);
    decoder.expect(request);
    return decoder.await(request);
  }

  private static void assertBreaks(String rule, Request request, Packet... packets) {
    assertThatThrownBy(() -> decode(request, all(packets)))
        .isInstanceOfSatisfying(Broken.class, e -> assertThat(e.rule()).isEqualTo(rule));
  }

  @Test
  void chunksInAnyOrderMakeAReply() throws Exception {
    Packet hole = chunk(0, Nbd.CHUNK_HOLE, READ, new Packet().u64(4608).u32(512));
    Reply reply = decode(READ, all(hole, data(Nbd.DONE, 4096, 512)));
    assertThat(reply.error()).isZero();
    assertThat(reply.data()).hasSize(1024);
    assertThat(reply.contentChunks()).isEqualTo(2);
  }

  @Test
  void anErrorNeedsNoData() throws Exception {
    Packet error = chunk(0, Nbd.CHUNK_ERROR, READ, new Packet().u32(5).u16(0));
    Packet none = chunk(Nbd.DONE, Nbd.CHUNK_NONE, READ, new Packet());
    assertThat(decode(READ, all(error, none)).error()).isEqualTo(5);
  }

  @Test
  void overlapsGapsAndChunksOutsideAreBreaches() {
    assertBreaks("R4", READ, data(0, 4096, 600), data(Nbd.DONE, 4608, 512));
    assertBreaks("R4", READ, data(Nbd.DONE, 4096, 512));
    assertBreaks("R4", READ, data(Nbd.DONE, 4095, 512));
    assertBreaks("R4", READ, data(Nbd.DONE, 4608, 513));
    assertBreaks("R4", READ, data(Nbd.DONE, 4096, 0));
    assertBreaks("R4", READ, chunk(Nbd.DONE, Nbd.CHUNK_HOLE, READ, new Packet().u64(4096).u32(0)));
  }

  @Test
  void contentAfterTheErrorOfItsPlaceIsABreach() throws Exception {
    Packet place = new Packet().u32(5).u16(0).u64(4096 + 512);
    Packet error = chunk(0, Nbd.CHUNK_ERROR_OFFSET, READ, place);
    assertBreaks("R4", READ, error, data(Nbd.DONE, 4096 + 512, 512));
    assertThat(decode(READ, all(error, data(Nbd.DONE, 4096, 512))).error()).isEqualTo(5);
    Packet last = chunk(Nbd.DONE, Nbd.CHUNK_ERROR_OFFSET, READ, place);
    assertThat(decode(READ, all(data(0, 4096 + 512, 512), last)).error()).isEqualTo(5);
  }

  @Test
  void doneIsOnTheLastChunkAndThereOnly() {
    assertBreaks("R3", READ, data(0, 4096, 1024));
    assertBreaks("R3", READ, chunk(0, Nbd.CHUNK_NONE, READ, new Packet()));
    assertBreaks("R3", READ, chunk(2, Nbd.CHUNK_NONE, READ, new Packet()));
  }

  @Test
  void cookiesAndMagicsAreChecked() {
    assertBreaks("R1", READ, chunk(Nbd.DONE, Nbd.CHUNK_NONE, STATUS, new Packet()));
    assertBreaks("R2", READ, new Packet().u32(0x1234));
    assertBreaks("R2", READ, new Packet().u32(Nbd.SIMPLE_REPLY_MAGIC).u32(22).u64(5));
    assertBreaks("R2", READ, chunk(Nbd.DONE, 77, READ, new Packet()));
    assertBreaks("R8", READ, chunk(Nbd.DONE, 1, READ, new Packet().bytes(new byte[2 << 20])));
  }

  @Test
  void errorChunksAreChecked() {
    assertBreaks("R2", READ, chunk(1, Nbd.CHUNK_ERROR, READ, new Packet().u32(0).u16(0)));
    assertBreaks("R2", READ, chunk(1, Nbd.CHUNK_ERROR, READ, new Packet().u32(5).u16(1)));
    assertBreaks("R2", READ, chunk(1, Nbd.CHUNK_ERROR, READ, new Packet().u32(5)));
    byte[] broken = {(byte) 0xff};
    assertBreaks(
        "H10", READ, chunk(1, Nbd.CHUNK_ERROR, READ, new Packet().u32(5).u16(1).bytes(broken)));
    assertBreaks(
        "R4", READ, chunk(1, Nbd.CHUNK_ERROR_OFFSET, READ, new Packet().u32(5).u16(0).u64(0)));
  }

  private static Packet status(int context, int... lengths) {
    Packet payload = new Packet().u32(context);
    for (int length : lengths) {
      Packet _ = payload.u32(length).u32(0);
    }
    return chunk(Nbd.DONE, Nbd.CHUNK_STATUS, STATUS, payload);
  }

  @Test
  void extentsAreChecked() throws Exception {
    assertThat(decode(STATUS, status(3, 512, 4096)).extents(3)).hasSize(2);
    assertBreaks("B2", STATUS, status(4, 512));
    assertBreaks("B2", STATUS, status(3));
    assertBreaks("B2", STATUS, status(3, 512, 0));
    assertBreaks("B2", STATUS, status(3, 512, 512, 512));
    assertBreaks("B2", STATUS, chunk(Nbd.DONE, Nbd.CHUNK_NONE, STATUS, new Packet()));
    assertBreaks("X3", STATUS, chunk(1, Nbd.CHUNK_STATUS_EXT, STATUS, new Packet().u32(3).u32(0)));
  }
}
