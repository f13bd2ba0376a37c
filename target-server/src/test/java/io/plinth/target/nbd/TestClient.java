package io.plinth.target.nbd;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A client that writes exactly the bytes it is told to and takes what comes back apart. Reading
 * methods turn the server's cycles first.
 */
@SuppressWarnings("ArrayRecordComponent") // Records are compared part by part here.
final class TestClient {
  record OptionReply(int option, int type, byte[] data) {
    ByteBuffer buffer() {
      return ByteBuffer.wrap(data);
    }
  }

  record Simple(int error, long cookie) {}

  record Chunk(int flags, int type, long cookie, byte[] payload) {
    boolean done() {
      return (flags & 1) != 0;
    }

    ByteBuffer buffer() {
      return ByteBuffer.wrap(payload);
    }

    int error() {
      assertThat(type).as("chunk type").isEqualTo(NbdProtocol.REPLY_TYPE_ERROR);
      return buffer().getInt();
    }
  }

  /** A chunk with the offset of its request. */
  record ExtendedChunk(long offset, Chunk chunk) {}

  /** Size and flags that EXPORT_NAME or INFO_EXPORT tell. */
  record ExportInfo(long size, int flags) {}

  private final TestServer server;
  private final Link link;
  private byte[] received = new byte[0];
  private int position;

  TestClient(TestServer server, Link link) {
    this.server = server;
    this.link = link;
  }

  Link link() {
    return link;
  }

  FakeConnection connection() {
    return link.connection;
  }

  // Writing.

  TestClient send(byte[] bytes) {
    link.write(bytes);
    return this;
  }

  TestClient flags(int flags) {
    return send(ByteBuffer.allocate(4).putInt(flags).array());
  }

  TestClient option(int option, byte[] data) {
    return send(optionBytes(option, data));
  }

  TestClient option(int option) {
    return option(option, new byte[0]);
  }

  TestClient request(int command, int flags, long cookie, long offset, long length) {
    return send(requestBytes(command, flags, cookie, offset, length));
  }

  /** A request of 32 bytes, as EXTENDED_HEADERS has it. */
  TestClient extendedRequest(int command, int flags, long cookie, long offset, long length) {
    return send(extendedRequestBytes(command, flags, cookie, offset, length));
  }

  TestClient write(int flags, long cookie, long offset, byte[] data) {
    return request(NbdProtocol.CMD_WRITE, flags, cookie, offset, data.length).send(data);
  }

  /** The peer goes away without a word. */
  void hangUp() {
    if (!link.closed) {
      link.connection.peerCloses(Status.ECONNRESET);
    }
  }

  static byte[] optionBytes(int option, byte[] data) {
    return ByteBuffer.allocate(16 + data.length)
        .putLong(NbdProtocol.OPTION_MAGIC)
        .putInt(option)
        .putInt(data.length)
        .put(data)
        .array();
  }

  static byte[] requestBytes(int command, int flags, long cookie, long offset, long length) {
    return ByteBuffer.allocate(28)
        .putInt(NbdProtocol.REQUEST_MAGIC)
        .putShort((short) flags)
        .putShort((short) command)
        .putLong(cookie)
        .putLong(offset)
        .putInt((int) length)
        .array();
  }

  static byte[] extendedRequestBytes(
      int command, int flags, long cookie, long offset, long length) {
    return ByteBuffer.allocate(32)
        .putInt(0x21e41c71)
        .putShort((short) flags)
        .putShort((short) command)
        .putLong(cookie)
        .putLong(offset)
        .putLong(length)
        .array();
  }

  /** Data of INFO and GO. */
  static byte[] infoData(String name, int... types) {
    byte[] bytes = name.getBytes(UTF_8);
    ByteBuffer data = ByteBuffer.allocate(6 + bytes.length + 2 * types.length);
    data.putInt(bytes.length).put(bytes).putShort((short) types.length);
    for (int type : types) {
      data.putShort((short) type);
    }
    return data.array();
  }

  /** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
  static byte[] contextData(String name, String... queries) {
    ByteBuffer data = ByteBuffer.allocate(20_000);
    data.putInt(name.getBytes(UTF_8).length).put(name.getBytes(UTF_8)).putInt(queries.length);
    for (String query : queries) {
      data.putInt(query.getBytes(UTF_8).length).put(query.getBytes(UTF_8));
    }
    return Arrays.copyOf(data.array(), data.position());
  }

  // Whole conversations.

  /** Answers the greeting, with both flags. */
  TestClient greet() {
    flags(3);
    greeting();
    return this;
  }

  /** Opens a volume with simple replies only. */
  TestClient openSimple(String name) {
    greet().option(NbdProtocol.OPT_GO, infoData(name));
    expectOpen();
    return this;
  }

  /** Opens a volume with structured replies and {@code base:allocation}. */
  TestClient openStructured(String name) {
    greet().option(NbdProtocol.OPT_STRUCTURED_REPLY);
    expectAck(NbdProtocol.OPT_STRUCTURED_REPLY);
    option(NbdProtocol.OPT_SET_META_CONTEXT, contextData(name, "base:allocation"));
    assertThat(optionReply().type()).isEqualTo(NbdProtocol.REP_META_CONTEXT);
    expectAck(NbdProtocol.OPT_SET_META_CONTEXT);
    option(NbdProtocol.OPT_GO, infoData(name));
    expectOpen();
    return this;
  }

  /** Opens a volume with extended headers and metadata contexts. */
  TestClient openExtended(String name, String... contexts) {
    greet().option(NbdProtocol.OPT_EXTENDED_HEADERS);
    expectAck(NbdProtocol.OPT_EXTENDED_HEADERS);
    option(NbdProtocol.OPT_SET_META_CONTEXT, contextData(name, contexts));
    assertThat(repliesUntilAck(NbdProtocol.OPT_SET_META_CONTEXT)).hasSize(contexts.length);
    option(NbdProtocol.OPT_GO, infoData(name));
    expectOpen();
    return this;
  }

  private void expectOpen() {
    assertThat(repliesUntilAck(NbdProtocol.OPT_GO)).isNotEmpty();
  }

  // Reading.

  /** Returns the handshake flags. */
  int greeting() {
    ByteBuffer bytes = take(18);
    assertThat(bytes.getLong()).isEqualTo(0x4e42444d41474943L);
    assertThat(bytes.getLong()).isEqualTo(0x49484156454f5054L);
    return bytes.getShort();
  }

  OptionReply optionReply() {
    ByteBuffer header = take(20);
    assertThat(header.getLong()).as("option reply magic").isEqualTo(0x3e889045565a9L);
    int option = header.getInt();
    int type = header.getInt();
    return new OptionReply(option, type, take(header.getInt()).array());
  }

  void expectAck(int option) {
    OptionReply reply = optionReply();
    assertThat(reply.type()).as("reply type").isEqualTo(NbdProtocol.REP_ACK);
    assertThat(reply.option()).isEqualTo(option);
    assertThat(reply.data()).isEmpty();
  }

  void expectError(int option, int type) {
    OptionReply reply = optionReply();
    assertThat(reply.option()).isEqualTo(option);
    assertThat(reply.type()).as("reply type").isEqualTo(type);
  }

  /** Returns the replies before an ACK, which must all be to that option. */
  List<OptionReply> repliesUntilAck(int option) {
    List<OptionReply> replies = new ArrayList<>();
    OptionReply reply = optionReply();
    while (reply.type() != NbdProtocol.REP_ACK) {
      assertThat(reply.type()).as("reply type").isPositive();
      assertThat(reply.option()).isEqualTo(option);
      replies.add(reply);
      reply = optionReply();
    }
    assertThat(reply.option()).isEqualTo(option);
    return replies;
  }

  static ExportInfo exportInfo(List<OptionReply> replies) {
    ByteBuffer info = information(replies, NbdProtocol.INFO_EXPORT);
    return new ExportInfo(info.getLong(), info.getShort() & 0xffff);
  }

  /** Returns the one information of a type, without the type. */
  static ByteBuffer information(List<OptionReply> replies, int type) {
    List<ByteBuffer> found =
        replies.stream()
            .filter(reply -> reply.type() == NbdProtocol.REP_INFO)
            .map(OptionReply::buffer)
            .filter(data -> data.getShort() == type)
            .toList();
    assertThat(found).as("information of type " + type).hasSize(1);
    return found.get(0);
  }

  Simple simple() {
    ByteBuffer header = take(16);
    assertThat(header.getInt()).as("reply magic").isEqualTo(NbdProtocol.SIMPLE_REPLY_MAGIC);
    return new Simple(header.getInt(), header.getLong());
  }

  /** Returns whether a simple reply comes next, without taking it. */
  boolean nextIsSimple() {
    fetch();
    assertThat(received.length - position).as("bytes sent").isGreaterThanOrEqualTo(4);
    return ByteBuffer.wrap(received).getInt(position) == NbdProtocol.SIMPLE_REPLY_MAGIC;
  }

  void expectSimple(int error, long cookie) {
    assertThat(simple()).isEqualTo(new Simple(error, cookie));
  }

  byte[] simpleRead(long cookie, int length) {
    expectSimple(0, cookie);
    return data(length);
  }

  byte[] data(int length) {
    return take(length).array();
  }

  Chunk chunk() {
    ByteBuffer header = take(20);
    assertThat(header.getInt()).as("chunk magic").isEqualTo(NbdProtocol.STRUCTURED_REPLY_MAGIC);
    int flags = header.getShort() & 0xffff;
    int type = header.getShort() & 0xffff;
    long cookie = header.getLong();
    return new Chunk(flags, type, cookie, take(header.getInt()).array());
  }

  /** Returns a chunk of 32 bytes and payload, which names the offset of its request. */
  Chunk extendedChunk(long offset) {
    ExtendedChunk extended = extendedChunk();
    assertThat(extended.offset()).as("offset").isEqualTo(offset);
    return extended.chunk();
  }

  ExtendedChunk extendedChunk() {
    ByteBuffer header = take(32);
    assertThat(header.getInt()).as("chunk magic").isEqualTo(0x6e8a278c);
    int flags = header.getShort() & 0xffff;
    int type = header.getShort() & 0xffff;
    long cookie = header.getLong();
    long offset = header.getLong();
    return new ExtendedChunk(
        offset, new Chunk(flags, type, cookie, take((int) header.getLong()).array()));
  }

  /** Returns the chunks of one reply; nothing else may come between. */
  List<Chunk> chunks(long cookie) {
    List<Chunk> chunks = new ArrayList<>();
    do {
      chunks.add(chunk());
      assertThat(chunks.getLast().cookie()).isEqualTo(cookie);
    } while (!chunks.getLast().done());
    return chunks;
  }

  /** Puts the data of a structured read together, and checks its cover on the way. */
  static byte[] assemble(List<Chunk> chunks, long offset, int length) {
    byte[] data = new byte[length];
    long next = offset;
    for (Chunk chunk : chunks) {
      ByteBuffer payload = chunk.buffer();
      assertThat(payload.getLong()).as("chunks follow each other").isEqualTo(next);
      if (chunk.type() == NbdProtocol.REPLY_TYPE_OFFSET_HOLE) {
        assertThat(chunk.payload()).hasSize(12);
        next += payload.getInt() & 0xffffffffL;
      } else {
        assertThat(chunk.type()).isEqualTo(NbdProtocol.REPLY_TYPE_OFFSET_DATA);
        int bytes = payload.remaining();
        assertThat(bytes).isPositive();
        payload.get(data, (int) (next - offset), bytes);
        next += bytes;
      }
    }
    assertThat(next).as("end of the data").isEqualTo(offset + length);
    return data;
  }

  /** The server has said nothing more, and the session lives. */
  void expectQuiet() {
    fetch();
    assertThat(received.length - position).as("unexpected bytes").isZero();
    assertThat(link.closed).as("closed").isFalse();
  }

  /** The server has said nothing more and has closed. */
  void expectClosed() {
    fetch();
    assertThat(received.length - position).as("unexpected bytes").isZero();
    assertThat(link.closed).as("closed").isTrue();
  }

  int unread() {
    fetch();
    return received.length - position;
  }

  private ByteBuffer take(int length) {
    fetch();
    assertThat(received.length - position).as("bytes sent").isGreaterThanOrEqualTo(length);
    byte[] taken = Arrays.copyOfRange(received, position, position + length);
    position += length;
    return ByteBuffer.wrap(taken);
  }

  private void fetch() {
    server.run();
    byte[] more = link.takeReceived();
    if (more.length > 0) {
      byte[] joined = new byte[received.length - position + more.length];
      System.arraycopy(received, position, joined, 0, received.length - position);
      System.arraycopy(more, 0, joined, received.length - position, more.length);
      received = joined;
      position = 0;
    }
  }
}
