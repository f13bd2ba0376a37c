package io.plinth.log.wire;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.GoldenFile;
import io.plinth.log.format.RecordHeader;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Bytes of versions 1 and 2, which every later program has to read, and to write for peers that
 * speak them.
 */
class GoldenWireTest {
  private static final PeerIdentity NODE =
      new PeerIdentity(
          new UUID(0x0102030405060708L, 0x1112131415161718L),
          5,
          2,
          0x2122232425262728L,
          new UUID(0x3132333435363738L, 0x4142434445464748L),
          1,
          3);

  private final NativeMemory memory = NativeMemory.reserve(Hello.MAX_BYTES);
  private final UnsafeBuffer buffer = memory.buffer(0, Hello.MAX_BYTES);
  private final CRC32C crc = new CRC32C();
  private final Samples samples = new Samples();
  private final Collector collector = new Collector();
  private final Pipe pipe = new Pipe(connection -> new Collector(), connection -> collector);
  private final FrameWriter writer = new FrameWriter();

  @AfterEach
  void free() {
    memory.close();
    samples.close();
    writer.close();
  }

  @Test
  void hello() throws IOException {
    int length = Hello.encode(memory, buffer, crc, NODE, 6, 1);
    assertGolden("wire-hello.hex", bytes(length));
    assertThat(Hello.isIntact(memory, buffer, crc, length)).isTrue();
    assertThat(Hello.identity(buffer)).isEqualTo(NODE);
    assertThat(Hello.targetNode(buffer)).isEqualTo(6);
    assertThat(Hello.targetCore(buffer)).isEqualTo(1);
  }

  @Test
  void refusal() throws IOException {
    int length =
        Refusal.encode(memory, buffer, crc, NODE, Refusal.Code.CLUSTER, "cluster a; this is b");
    assertGolden("wire-refusal.hex", bytes(length));
    assertThat(Refusal.text(memory, buffer, crc, length)).isEqualTo("cluster a; this is b");
  }

  @Test
  void messages() throws IOException {
    long value = 0x0101010101010101L;
    for (MessageType type : Samples.SMALL) {
      Message m = new Message().reset(type, 1, 2);
      m.term = value;
      m.epoch = 2 * value;
      m.index = 3 * value;
      m.logTerm = 4 * value;
      m.refusedIndex = 5 * value;
      m.commit = 6 * value;
      m.appended = 7 * value;
      m.durable = 8 * value;
      m.round = 9 * value;
      m.tick = 10 * value;
      m.recoverIncarnation = 11 * value;
      m.recoverTo = 12 * value;
      m.granted = type == MessageType.APPEND_RESPONSE;
      m.recovering = type == MessageType.HEARTBEAT;
      m.logOk = type == MessageType.PRE_VOTE_RESPONSE;
      m.transfer = type == MessageType.REQUEST_VOTE;
      m.recoveryElection = type == MessageType.REQUEST_VOTE;
      assertThat(writer.add(pipe.near, 0xA0 + WireFormat.number(type), m)).isTrue();
    }
    assertThat(writer.addSync(pipe.near, 0xA8, 0x0D0D0D0D0D0D0D0DL)).isTrue();
    assertThat(writer.flush(pipe.near)).isTrue();
    pipe.pass();
    assertGolden("wire-messages.hex", collector.take());
  }

  /** What version 2 has more than version 1, which takes no notice of it. */
  @Test
  void quiet() throws IOException {
    for (MessageType type : List.of(MessageType.HEARTBEAT, MessageType.APPEND_RESPONSE)) {
      Message m = new Message().reset(type, 1, 2);
      m.term = 5;
      m.index = 7;
      m.commit = 7;
      m.appended = 7;
      m.durable = 7;
      m.tick = 300;
      m.granted = type == MessageType.APPEND_RESPONSE;
      m.quiet = true;
      assertThat(writer.add(pipe.near, 0xB0 + WireFormat.number(type), m)).isTrue();
    }
    assertThat(writer.flush(pipe.near)).isTrue();
    pipe.pass();
    assertGolden("wire-quiet.hex", collector.take());
  }

  @Test
  void append() throws IOException {
    Message m = new Message().reset(MessageType.APPEND, 1, 2);
    m.term = 9;
    m.epoch = 3;
    m.index = 100;
    m.logTerm = 8;
    m.commit = 99;
    m.round = 7;
    m.tick = 6;
    m.recoverIncarnation = 5;
    m.recoverTo = 98;
    m.recovering = true;
    EntryKind[] kinds = {
      EntryKind.EPOCH,
      EntryKind.PAYLOAD,
      EntryKind.PAYLOAD,
      EntryKind.PAYLOAD,
      EntryKind.NO_OP,
      EntryKind.ADD_LEARNER,
      EntryKind.PROMOTE,
      EntryKind.REMOVE
    };
    SimRandom random = new SimRandom(1);
    for (int i = 0; i < kinds.length; i++) {
      m.addEntry(9, kinds[i], i >= 5 ? 40 + i : -1, -1, 0);
    }
    Samples.Entry write = samples.put(102, RecordHeader.WRITE, 0, 0x1234, 1, random);
    Samples.Entry _ = samples.put(103, RecordHeader.UNMAP, RecordHeader.ALLOCATED, 77, 9, random);
    Samples.Entry command = samples.put(104, RecordHeader.COMMAND, 0, 0, 3, random);
    samples.buffer.setMemory(
        (int) (write.payloadAddress() - samples.memory.address()), 4096, (byte) 0);
    samples.buffer.putInt(0, 0x98f94189, ByteOrder.LITTLE_ENDIAN);
    samples.buffer.putBytes(
        (int) (command.trailerAddress() - samples.memory.address()), new byte[] {1, 2, 3});
    assertThat(writer.append(pipe.near, 0xAB, m, 0, samples)).isEqualTo(kinds.length);
    pipe.pass();
    byte[] bytes = collector.take();
    assertGolden("wire-append.hex", bytes);
    RecordingSink sink = new RecordingSink();
    FrameReader reader = new FrameReader(sink);
    assertThat(reader.read(new UnsafeBuffer(bytes), 0, bytes.length)).isEqualTo(bytes.length);
    assertThat(reader.problem()).isNull();
    assertThat(sink.events).hasSize(1);
    reader.close();
  }

  @Test
  void resync() throws IOException {
    ResyncFrame frame = ResyncFrame.toSend();
    frame.begin(11, 0x0102030405060708L).bytes(5).tree(3).leaf(77).a(-2).b(1L << 40);
    frame.body().putStringWithoutLengthAscii(0, "bytes");
    assertThat(writer.resync(pipe.near, 9, frame)).isTrue();
    frame.close();
    pipe.pass();
    byte[] bytes = collector.take();
    assertGolden("wire-resync.hex", bytes);
    RecordingSink sink = new RecordingSink();
    FrameReader reader = new FrameReader(sink);
    UnsafeBuffer in = new UnsafeBuffer(bytes);
    assertThat(reader.read(in, 0, bytes.length)).isEqualTo(bytes.length);
    assertThat(sink.events)
        .containsExactly(
            "9 RESYNC 11 session 72623859790382856 tree 3 leaf 77 a -2 b 1099511627776 6279746573");
    // A count beyond the frame's end, with a checksum that is right.
    in.putInt(16, bytes.length, ByteOrder.LITTLE_ENDIAN);
    in.putInt(20, 0, ByteOrder.LITTLE_ENDIAN);
    crc.reset();
    crc.update(bytes);
    in.putInt(20, (int) crc.getValue(), ByteOrder.LITTLE_ENDIAN);
    assertThat(reader.read(in, 0, bytes.length)).isZero();
    assertThat(reader.problem()).contains("headerBytes 72 of RESYNC with 72 bytes");
    reader.close();
  }

  @Test
  void refused() throws IOException {
    writer.refuse(pipe.near, 1, 99);
    pipe.pass();
    assertGolden("wire-refused.hex", collector.take());
  }

  private byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    buffer.getBytes(0, bytes);
    return bytes;
  }

  private static void assertGolden(String name, byte[] bytes) throws IOException {
    if (Boolean.getBoolean("plinth.golden.rewrite")) {
      Path file = Path.of("src/test/resources/golden", name);
      String comment =
          Files.readAllLines(file).stream()
              .filter(line -> line.startsWith("#"))
              .collect(Collectors.joining("\n", "", "\n"));
      Files.writeString(file, comment + GoldenFile.text(bytes));
      return;
    }
    assertThat(GoldenFile.text(bytes)).isEqualTo(GoldenFile.text(GoldenFile.read(name)));
  }
}
