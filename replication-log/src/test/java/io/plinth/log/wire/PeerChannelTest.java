package io.plinth.log.wire;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Hellos, refusals, and what a channel does with frames that it can't take, or does not know. */
class PeerChannelTest {
  private static final UUID CLUSTER = new UUID(1, 2);
  private static final PeerIdentity ONE = PeerIdentity.of(CLUSTER, 1, 0, 11, new UUID(5, 5));
  private static final PeerIdentity TWO = PeerIdentity.of(CLUSTER, 2, 3, 22, new UUID(6, 6));

  private final Samples samples = new Samples();
  private final Owner dialler = new Owner();
  private final Owner acceptor = new Owner();

  @AfterEach
  void free() {
    samples.close();
  }

  /** Writes down what it is told. */
  private static final class Owner implements PeerListener {
    final List<String> events = new ArrayList<>();
    final RecordingSink sink = new RecordingSink();
    String unwelcome;
    PeerChannel channel;
    String closed;
    int writable;

    @Override
    public String onHello(PeerIdentity peer) {
      return unwelcome;
    }

    @Override
    public void onOpen(PeerChannel openChannel) {
      events.add("open " + openChannel.peer() + " version " + openChannel.version());
    }

    @Override
    public void onMessage(PeerChannel from, int group, Message message) {
      sink.onMessage(group, message);
    }

    @Override
    public void onResync(PeerChannel from, ResyncFrame frame) {
      sink.onResync(frame);
    }

    @Override
    public void onSync(PeerChannel from, int group, long index) {
      sink.onSync(group, index);
    }

    @Override
    public boolean onAppend(PeerChannel from, AppendFrame frame) {
      return sink.onAppend(frame);
    }

    @Override
    public void onWritable(PeerChannel from) {
      writable++;
    }

    @Override
    public void onClosed(PeerChannel from, String why) {
      assertThat(closed).isNull();
      closed = why;
    }
  }

  private Pipe pipe(PeerIdentity one, PeerIdentity two, int targetNode, int targetCore) {
    Pipe pipe =
        new Pipe(
            connection ->
                dialler.channel =
                    PeerChannel.dialled(connection, one, targetNode, targetCore, dialler),
            connection -> acceptor.channel = PeerChannel.accepted(connection, two, acceptor));
    pipe.pass();
    return pipe;
  }

  private Pipe open() {
    return pipe(ONE, TWO, 2, 3);
  }

  /** A dialler that sends bytes as they are, to a channel that accepts. */
  private Pipe raw(Collector collector) {
    return new Pipe(
        connection -> collector,
        connection -> acceptor.channel = PeerChannel.accepted(connection, TWO, acceptor));
  }

  @Test
  void bothSidesSayWhoTheyAreAndGoOn() {
    Pipe pipe = open();
    assertThat(dialler.events).containsExactly("open node 2 core 3 version 2");
    assertThat(acceptor.events).containsExactly("open node 1 core 0 version 2");
    assertThat(acceptor.channel.peer()).isEqualTo(ONE);
    assertThat(dialler.channel.peer()).isEqualTo(TWO);

    SimRandom random = new SimRandom(1);
    Message message = Samples.small(random);
    assertThat(dialler.channel.send(8, message)).isTrue();
    assertThat(dialler.channel.sendSync(9, 123)).isTrue();
    dialler.channel.flush();
    dialler.channel.keepAlive();
    Message append = samples.append(random, 9, 9);
    append.from = 2;
    append.to = 1;
    append.incarnation = 22;
    assertThat(acceptor.channel.append(9, append, 0, samples)).isEqualTo(append.entryCount);
    pipe.pass();
    message.from = 1;
    message.to = 2;
    message.incarnation = 11;
    assertThat(acceptor.sink.events).containsExactly("8 " + Samples.text(message), "9 SYNC 123");
    assertThat(dialler.sink.events).containsExactly(RecordingSink.expected(9, append, samples));
  }

  @Test
  void anotherClusterIsRefused() {
    UUID other = new UUID(7, 7);
    Pipe pipe = pipe(ONE, PeerIdentity.of(other, 2, 3, 1, other), 2, 3);
    pipe.pass();
    assertRefused("cluster " + CLUSTER + "; this node belongs to " + other);
  }

  @Test
  void aNodeThatWasNotMeantRefuses() {
    pipe(ONE, TWO, 4, 3).pass();
    assertRefused("node 1 meant node 4; this is node 2");
  }

  @Test
  void aNodeThatIsReachedAtItsOwnAddressIsRefused() {
    pipe(ONE, ONE, 1, 0).pass();
    assertRefused("node 1 meant node 1; this is node 1");
  }

  @Test
  void aLogThatWasNotMeantRefuses() {
    pipe(ONE, TWO, 2, 0).pass();
    assertRefused("core 0 meant core 0; this is core 3");
  }

  @Test
  void aVersionThatIsTooOldIsRefused() {
    PeerIdentity newer = new PeerIdentity(CLUSTER, 2, 3, 1, CLUSTER, 5, 7);
    pipe(ONE, newer, 2, 3).pass();
    assertRefused("versions 1 to 2 of the peer protocol; this node speaks 5 to 7");
  }

  @Test
  void theNewestVersionThatBothSpeakIsUsed() {
    pipe(
        new PeerIdentity(CLUSTER, 1, 0, 1, CLUSTER, 1, 6),
        new PeerIdentity(CLUSTER, 2, 3, 1, CLUSTER, 2, 4),
        2,
        3);
    assertThat(dialler.channel.version()).isEqualTo(4);
    assertThat(acceptor.channel.version()).isEqualTo(4);
  }

  @Test
  void theOwnerMayRefuseWhoIsNotWelcome() {
    acceptor.unwelcome = "node 1 is not a member of this cluster";
    open().pass();
    assertRefused("node 1 is not a member of this cluster");
  }

  @Test
  void whoDialsMayRefuseToo() {
    dialler.unwelcome = "node 2 has died since";
    open().pass();
    assertThat(acceptor.closed).isEqualTo("it refuses us: node 2 has died since");
    assertThat(dialler.closed).isEqualTo("refused: node 2 has died since");
    assertThat(dialler.events).isEmpty();
  }

  private void assertRefused(String text) {
    assertThat(acceptor.closed).isEqualTo("refused: " + text);
    assertThat(dialler.closed).isEqualTo("it refuses us: " + text);
    assertThat(acceptor.events).isEmpty();
    assertThat(dialler.events).isEmpty();
  }

  @Test
  void somethingElseThanAPeerIsDisconnected() {
    Collector collector = new Collector();
    Pipe pipe = raw(collector);
    pipe.send(pipe.near, "GET / HTTP/1.1\r\n".getBytes(StandardCharsets.US_ASCII));
    assertThat(acceptor.closed)
        .isEqualTo("it does not speak the peer protocol: it begins with 5448202f20544547");
    assertThat(collector.size()).isZero();
  }

  @Test
  void aDamagedHelloIsRefused() {
    Collector collector = new Collector();
    Pipe pipe = raw(collector);
    byte[] hello = hello(80);
    hello[60] ^= 1;
    pipe.send(pipe.near, hello);
    assertThat(acceptor.closed).isEqualTo("refused: the checksum of the hello is wrong");
  }

  @Test
  void aHelloOfImpossibleLengthEndsTheConnection() {
    Collector collector = new Collector();
    Pipe pipe = raw(collector);
    byte[] hello = hello(80);
    hello[9] = 0x7F;
    pipe.send(pipe.near, hello);
    assertThat(acceptor.closed).isEqualTo("a hello or refusal of 32592 bytes is not possible");
  }

  @Test
  void noFlippedBitOfAHelloIsTaken() {
    for (int bit = 0; bit < 80 * 8; bit++) {
      Owner owner = new Owner();
      Pipe pipe =
          new Pipe(
              connection -> new Collector(),
              connection -> PeerChannel.accepted(connection, TWO, owner));
      byte[] hello = hello(80);
      hello[bit / 8] ^= (byte) (1 << bit % 8);
      pipe.send(pipe.near, hello);
      assertThat(owner.events).as("bit %d", bit).isEmpty();
      boolean waitsForMore = bit / 8 == 8 || bit / 8 == 9;
      assertThat(owner.closed != null || waitsForMore).as("bit %d", bit).isTrue();
    }
  }

  /** A later version may have more to say; and bytes come as they like. */
  @Test
  void aLongerHelloIsTakenInAnyPieces() {
    Collector collector = new Collector();
    Pipe pipe = raw(collector);
    for (byte b : hello(104)) {
      pipe.send(pipe.near, new byte[] {b});
    }
    assertThat(acceptor.events).containsExactly("open node 1 core 0 version 1");
    assertThat(collector.size()).isEqualTo(Hello.BYTES);
  }

  /** Returns a hello from ONE to TWO that a program with more fields would send. */
  private static byte[] hello(int length) {
    byte[] bytes = new byte[length];
    UnsafeBuffer buffer = new UnsafeBuffer(bytes);
    buffer.putLong(0, Hello.MAGIC, ByteOrder.LITTLE_ENDIAN);
    buffer.putShort(8, (short) length, ByteOrder.LITTLE_ENDIAN);
    buffer.putShort(10, (short) 1, ByteOrder.LITTLE_ENDIAN);
    buffer.putShort(12, (short) 1, ByteOrder.LITTLE_ENDIAN);
    buffer.putLong(16, 1, ByteOrder.LITTLE_ENDIAN);
    buffer.putLong(24, 2, ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(32, 1, ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(36, 2, ByteOrder.LITTLE_ENDIAN);
    buffer.putShort(40, (short) 3, ByteOrder.LITTLE_ENDIAN);
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    buffer.putInt(72, (int) crc.getValue(), ByteOrder.LITTLE_ENDIAN);
    return bytes;
  }

  @Test
  void unknownTypesAreRefusedOnceAndTheConnectionLives() {
    Collector collector = new Collector();
    Pipe pipe = raw(collector);
    pipe.send(pipe.near, hello(80));
    collector.take();
    byte[] newFrame = SlowEncoder.frame(900, 0, 0, 1, new byte[40], new byte[100_000]);
    Message known = new Message().reset(MessageType.TIMEOUT_NOW, 1, 2);
    byte[] knownFrame = SlowEncoder.messages(List.of(new SlowEncoder.Small(4, known)));
    // A message of type 99 with two fields, in front of a known one with one field more.
    byte[] body = new byte[24 + 32];
    UnsafeBuffer buffer = new UnsafeBuffer(body);
    buffer.putByte(0, (byte) 99);
    buffer.putShort(2, (short) 24, ByteOrder.LITTLE_ENDIAN);
    buffer.putByte(24, (byte) 7);
    buffer.putShort(26, (short) 32, ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(28, 6, ByteOrder.LITTLE_ENDIAN);
    byte[] newMessage = SlowEncoder.frame(1, 0, 0, 2, body, new byte[0]);
    for (byte[] frame : List.of(newFrame, knownFrame, newMessage, newFrame, newMessage)) {
      pipe.send(pipe.near, frame);
    }
    known.from = 1;
    known.to = 2;
    assertThat(acceptor.sink.events)
        .containsExactly(
            "4 " + Samples.text(known), "6 " + Samples.text(known), "6 " + Samples.text(known));
    assertThat(acceptor.closed).isNull();
    byte[] answers = collector.take();
    assertThat(answers).hasSize(2 * 32);
    byte[] refusal = new byte[8];
    refusal[0] = (byte) (900 & 0xFF);
    refusal[1] = 900 >> 8;
    refusal[4] = 2;
    assertThat(Arrays.copyOf(answers, 32))
        .isEqualTo(SlowEncoder.frame(3, 0, 0, 0, refusal, new byte[0]));
    assertThat(Arrays.copyOfRange(answers, 32, 64))
        .isEqualTo(
            SlowEncoder.frame(3, 0, 0, 0, new byte[] {1, 0, 99, 0, 2, 0, 0, 0}, new byte[0]));
  }

  @Test
  void entriesThatCantBeTakenAreOfferedAgainBeforeAnythingElse() {
    Pipe pipe = open();
    SimRandom random = new SimRandom(3);
    acceptor.sink.takes = false;
    Message append = new Message().reset(MessageType.APPEND, 1, 2);
    append.incarnation = 11;
    samples.put(1, 1, 0, 5, 200, random);
    append.addEntry(1, EntryKind.PAYLOAD, -1, -1, 200 * 4096);
    assertThat(dialler.channel.append(7, append, 0, samples)).isEqualTo(1);
    assertThat(dialler.channel.send(7, new Message().reset(MessageType.TIMEOUT_NOW, 1, 2)))
        .isTrue();
    dialler.channel.flush();
    for (int i = 0; i < 50; i++) {
      pipe.pass();
    }
    assertThat(acceptor.sink.events).isEmpty();
    assertThat(acceptor.channel.offerAgain()).isFalse();
    acceptor.sink.takes = true;
    assertThat(acceptor.channel.offerAgain()).isTrue();
    pipe.pass();
    assertThat(acceptor.sink.events).hasSize(2);
    assertThat(acceptor.sink.events.get(0)).isEqualTo(RecordingSink.expected(7, append, samples));
    assertThat(acceptor.sink.events.get(1)).startsWith("7 TIMEOUT_NOW");
  }

  @Test
  void payloadThatChangedOnItsWayEndsTheConnection() {
    Pipe pipe = open();
    Message append = new Message().reset(MessageType.APPEND, 1, 2);
    append.index = 41;
    Samples.Entry entry = samples.put(42, 1, 0, 5, 3, new SimRandom(3));
    append.addEntry(1, EntryKind.PAYLOAD, -1, -1, 3 * 4096);
    new UnsafeBuffer(entry.payloadAddress(), 3 * 4096).putByte(4096 + 17, (byte) 3);
    assertThat(dialler.channel.append(7, append, 0, samples)).isEqualTo(1);
    pipe.pass();
    pipe.pass();
    assertThat(acceptor.sink.events).isEmpty();
    assertThat(acceptor.closed)
        .isEqualTo("frame of type 2: block 1 of entry 42 of group 7 does not match its checksum");
    assertThat(dialler.closed).isNotNull();
  }

  @Test
  void loansEndWhenThePeerVanishes() {
    Pipe pipe = open();
    Message append = new Message().reset(MessageType.APPEND, 1, 2);
    samples.put(1, 1, 0, 5, 2000, new SimRandom(3));
    append.addEntry(1, EntryKind.PAYLOAD, -1, -1, 2000 * 4096);
    assertThat(dialler.channel.append(7, append, 0, samples)).isEqualTo(1);
    assertThat(samples.pins).hasSize(1);
    pipe.step();
    pipe.farHost.crash(false);
    pipe.pass();
    assertThat(samples.pins).isEmpty();
    assertThat(dialler.closed).isEqualTo("ECONNRESET");
    assertThat(dialler.channel.isOpen()).isFalse();
    assertThat(dialler.channel.send(7, append)).isFalse();
  }

  @Test
  void theOwnerIsToldWhenThereIsRoomAgain() {
    Pipe pipe = open();
    Message append = new Message().reset(MessageType.APPEND, 1, 2);
    samples.put(1, 3, 0, 0, 30_000, new SimRandom(3));
    append.addEntry(1, EntryKind.PAYLOAD, -1, -1, 30_000);
    int sent = 0;
    while (dialler.channel.append(7, append, 0, samples) == 1) {
      sent++;
    }
    assertThat(sent).isPositive();
    pipe.pass();
    assertThat(dialler.writable).isPositive();
    assertThat(dialler.channel.append(7, append, 0, samples)).isEqualTo(1);
  }
}
