package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_NO_HOLE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_PAYLOAD_LEN;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_REQ_ONE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_TRIM;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE_ZEROES;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXPORT_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXTENDED_HEADERS;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_STRUCTURED_REPLY;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_BLOCK_STATUS_EXT;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_NONE;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_OFFSET_DATA;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_OFFSET_HOLE;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_EXT_HEADER_REQD;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.TestClient.exportInfo;
import static io.plinth.target.nbd.TestClient.infoData;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.nbd.TestClient.Chunk;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Extended headers, rule by rule: names begin with the number of the rule in the table. */
@ParameterizedClass
@EnumSource(Split.class)
class ExtendedHeadersTest {
  private static final int SIZE = 1 << 20;
  private static final int EINVAL = 22;
  private static final int ENOSPC = 28;
  private static final int STATUS_PAYLOAD_FLAG = 1 << 12;
  private static final String ALLOCATION = "base:allocation";

  @Parameter Split split;

  private final TestServer server = new TestServer();
  private final MemoryVolume volume = server.volume("demo", 0, SIZE);

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private TestClient open(String... contexts) {
    return server.connect(split).openExtended("demo", contexts);
  }

  private static byte[] filled(int length, int value) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  private static void expectNone(TestClient client, long cookie, long offset) {
    Chunk chunk = client.extendedChunk(offset);
    assertThat(chunk.type()).isEqualTo(REPLY_TYPE_NONE);
    assertThat(chunk.cookie()).isEqualTo(cookie);
    assertThat(chunk.done()).isTrue();
    assertThat(chunk.payload()).isEmpty();
  }

  private static void expectError(TestClient client, long cookie, long offset, int error) {
    Chunk chunk = client.extendedChunk(offset);
    assertThat(chunk.error()).isEqualTo(error);
    assertThat(chunk.cookie()).isEqualTo(cookie);
    assertThat(chunk.done()).isTrue();
  }

  /** Payload of a BLOCK_STATUS that names contexts. */
  private static byte[] statusPayload(long length, int... ids) {
    ByteBuffer payload = ByteBuffer.allocate(8 + 4 * ids.length).putLong(length);
    for (int id : ids) {
      payload.putInt(id);
    }
    return payload.array();
  }

  @Test
  void X1_negotiatedWithoutStructuredReplies() {
    TestClient client = server.connect(split).greet();
    client.option(OPT_EXTENDED_HEADERS, new byte[1]);
    client.expectError(OPT_EXTENDED_HEADERS, REP_ERR_INVALID);
    client.option(OPT_EXTENDED_HEADERS).expectAck(OPT_EXTENDED_HEADERS);
    client.option(OPT_EXTENDED_HEADERS).expectError(OPT_EXTENDED_HEADERS, REP_ERR_INVALID);
    client.option(OPT_STRUCTURED_REPLY);
    client.expectError(OPT_STRUCTURED_REPLY, REP_ERR_EXT_HEADER_REQD);
    client.option(OPT_GO, infoData("demo"));
    assertThat(exportInfo(client.repliesUntilAck(OPT_GO)).flags() & STATUS_PAYLOAD_FLAG)
        .isEqualTo(STATUS_PAYLOAD_FLAG);
  }

  @Test
  void X1_everyReplyIsAChunkThatNamesTheOffset() {
    TestClient client = open();
    volume.fill(8192, filled(4096, 7));
    client.extendedRequest(CMD_FLUSH, 0, 1, 0, 0);
    expectNone(client, 1, 0);
    client.extendedRequest(CMD_TRIM, 0, 2, 4096, 512);
    expectNone(client, 2, 4096);
    client.extendedRequest(CMD_READ, 0, 3, 4096, 8192);
    Chunk hole = client.extendedChunk(4096);
    assertThat(hole.type()).isEqualTo(REPLY_TYPE_OFFSET_HOLE);
    assertThat(hole.done()).isFalse();
    Chunk data = client.extendedChunk(4096);
    assertThat(data.type()).isEqualTo(REPLY_TYPE_OFFSET_DATA);
    assertThat(data.done()).isTrue();
    assertThat(data.buffer().getLong()).isEqualTo(8192);
    assertThat(data.payload()).hasSize(8 + 4096).endsWith(filled(4096, 7));
    client.extendedRequest(CMD_READ, 0, 4, 512, 0);
    expectNone(client, 4, 512);
    client.extendedRequest(CMD_READ, 0, 5, SIZE, 512);
    expectError(client, 5, SIZE, EINVAL);
    client.expectQuiet();
  }

  @Test
  void X1_compactRequestsAreNotUnderstoodAnyMore() {
    TestClient client = open();
    client.request(CMD_FLUSH, 0, 1, 0, 0).send(new byte[4]);
    client.expectClosed();
  }

  @Test
  void X1_lengthsOf64BitsAreJudgedNotCutOff() {
    TestClient client = open();
    long huge = 1L << 40;
    client.extendedRequest(CMD_TRIM, 0, 1, 0, huge);
    expectError(client, 1, 0, EINVAL);
    client.extendedRequest(CMD_WRITE_ZEROES, CMD_FLAG_NO_HOLE, 2, 0, huge + 512);
    expectError(client, 2, 0, ENOSPC);
    client.extendedRequest(CMD_READ, 0, 3, 0, -512);
    expectError(client, 3, 0, EINVAL);
    client.extendedRequest(CMD_TRIM, 0, 4, 512, -512);
    expectError(client, 4, 512, EINVAL);
    client.expectQuiet();
    assertThat(volume.log).isEmpty();
  }

  @Test
  void X2_writeCarriesItsPayload() {
    TestClient client = open();
    byte[] data = filled(128 << 10, 3);
    client.extendedRequest(CMD_WRITE, CMD_FLAG_PAYLOAD_LEN, 1, 4096, data.length).send(data);
    expectNone(client, 1, 4096);
    assertThat(volume.content(4096, data.length)).isEqualTo(data);
  }

  @Test
  void X2_payloadOfAnotherCommandIsConsumedAndRefused() {
    TestClient client = open();
    client.extendedRequest(CMD_READ, CMD_FLAG_PAYLOAD_LEN, 1, 0, 4096).send(new byte[4096]);
    expectError(client, 1, 0, EINVAL);
    client.extendedRequest(CMD_FLUSH, CMD_FLAG_PAYLOAD_LEN, 2, 0, 4).send(new byte[4]);
    expectError(client, 2, 0, EINVAL);
    client.extendedRequest(CMD_FLUSH, 0, 3, 0, 0);
    expectNone(client, 3, 0);
  }

  @Test
  void X2_payloadBeyondTheMaximumDisconnects() {
    TestClient client = open();
    client.extendedRequest(CMD_WRITE, CMD_FLAG_PAYLOAD_LEN, 1, 0, -1);
    client.expectClosed();
  }

  @Test
  void X3_statusHasExtentsOf64Bits() {
    TestClient client = open(ALLOCATION);
    volume.fill(8192, filled(4096, 1));
    client.extendedRequest(CMD_BLOCK_STATUS, 0, 1, 4096, 65536);
    Chunk chunk = client.extendedChunk(4096);
    assertThat(chunk.type()).isEqualTo(REPLY_TYPE_BLOCK_STATUS_EXT);
    assertThat(chunk.done()).isTrue();
    assertThat(chunk.payload()).hasSize(8 + 16 * 3);
    ByteBuffer payload = chunk.buffer();
    assertThat(payload.getInt()).as("context").isEqualTo(1);
    assertThat(payload.getInt()).as("count").isEqualTo(3);
    long[] fields = new long[6];
    payload.asLongBuffer().get(fields);
    assertThat(fields).containsExactly(4096, 3, 4096, 0, 65536 - 8192, 3);
  }

  @Test
  void X4_statusPayloadNamesTheContexts() {
    server.volume("demo@monday", 0, SIZE);
    TestClient client = open(ALLOCATION, "plinth:snapshot-diff:monday");
    volume.fill(0, filled(512, 9));
    client.extendedRequest(CMD_BLOCK_STATUS, CMD_FLAG_PAYLOAD_LEN, 1, 0, 12);
    client.send(statusPayload(4096, 2));
    Chunk chunk = client.extendedChunk(0);
    assertThat(chunk.done()).isTrue();
    ByteBuffer payload = chunk.buffer();
    assertThat(payload.getInt()).as("context").isEqualTo(2);
    assertThat(payload.getInt()).as("count").isEqualTo(2);
    assertThat(payload.getLong()).isEqualTo(512);
    assertThat(payload.getLong()).as("changed").isEqualTo(1);
    int flags = CMD_FLAG_PAYLOAD_LEN | CMD_FLAG_REQ_ONE;
    client.extendedRequest(CMD_BLOCK_STATUS, flags, 2, 0, 16).send(statusPayload(4096, 1, 2));
    assertThat(client.extendedChunk(0).done()).isFalse();
    assertThat(client.extendedChunk(0).done()).isTrue();
  }

  @Test
  void X4_unknownOrRepeatedIdentitiesAndBrokenPayloadsAreInvalid() {
    TestClient client = open(ALLOCATION);
    byte[][] payloads = {
      statusPayload(4096, 7),
      statusPayload(4096, 1, 1),
      statusPayload(4096),
      statusPayload(SIZE + 512, 1),
      new byte[13],
      new byte[4096]
    };
    for (byte[] payload : payloads) {
      client.extendedRequest(CMD_BLOCK_STATUS, CMD_FLAG_PAYLOAD_LEN, 5, 0, payload.length);
      client.send(payload);
      expectError(client, 5, 0, EINVAL);
    }
    client.expectQuiet();
    assertThat(volume.log).isEmpty();
  }

  @Test
  void X5_exportNameIsRefusedAfterwards() {
    TestClient client = server.connect(split).greet();
    client.option(OPT_EXTENDED_HEADERS).expectAck(OPT_EXTENDED_HEADERS);
    client.option(OPT_EXPORT_NAME, "demo".getBytes(UTF_8));
    client.expectClosed();
  }
}
