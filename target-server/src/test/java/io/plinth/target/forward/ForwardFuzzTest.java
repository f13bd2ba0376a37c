package io.plinth.target.forward;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.target.volume.VolumeSettings;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams that no correct node sends: they cost the connection and nothing else (G10). */
@Timeout(120)
class ForwardFuzzTest {
  private static final int SEEDS = 400;
  private static final int GROUP = 3;

  /** More than the second after which a silent node is given up. */
  private static final int MAX_TURNS = 120_000;

  private static final UUID CLUSTER = new UUID(1, 2);
  private static final ForwardIdentity SELF = new ForwardIdentity(CLUSTER, 1, 0, 1);
  private static final int CRC_END = 4;
  private static final int HEADER_BYTES = 8;

  private Wire wire;
  private ForwardServer server;
  private ForwardClient client;
  private final ForwardFrame frame = new ForwardFrame();

  @BeforeEach
  void begin() {
    wire = new Wire();
    server = new ForwardServer(wire.core, SELF, group -> null);
    server.start();
    client = new ForwardClient(wire.core, SELF, wire.host, new SimRandom(1)::nextLong, Set.of());
    server.pairWith(client);
    client.start();
  }

  @AfterEach
  void free() {
    server.free();
    client.free();
    frame.close();
  }

  private byte[] hello(int node, int targetNode, long incarnation, long sequence) {
    byte[] bytes = new byte[ForwardHello.BYTES];
    new ForwardHello(frame.memory())
        .encode(new ForwardIdentity(CLUSTER, node, 0, incarnation), targetNode, 0, sequence)
        .getBytes(0, bytes);
    return bytes;
  }

  /** Returns the bytes of a frame, with any payload. */
  private static byte[] bytes(ForwardFrame written) {
    byte[] header = new byte[written.headerBytes()];
    written.memory().buffer(0, header.length).getBytes(0, header);
    seal(header);
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(header);
    all.writeBytes(new byte[Math.max(0, written.payloadBytes())]);
    return all.toByteArray();
  }

  private static void seal(byte[] header) {
    UnsafeBuffer buffer = new UnsafeBuffer(header);
    buffer.putInt(0, 0);
    CRC32C crc = new CRC32C();
    crc.update(header, 0, Math.clamp(buffer.getInt(HEADER_BYTES), CRC_END, header.length));
    buffer.putInt(0, (int) crc.getValue());
  }

  private ForwardFrame request(long id, Operation operation, int length) {
    boolean write = operation == Operation.WRITE;
    CRC32C crc = new CRC32C();
    crc.update(new byte[length]);
    return frame
        .begin(ForwardFrame.REQUEST, GROUP)
        .id(id)
        .operation(operation, 0)
        .range(4096, length)
        .count(1)
        .payload(write ? length : 0, write ? (int) crc.getValue() : 0);
  }

  private byte[] requests(SimRandom random) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (int i = 1 + random.nextInt(4); i > 0; i--) {
      switch (random.nextInt(6)) {
        case 4 -> all.writeBytes(bytes(frame.begin(ForwardFrame.FENCE, GROUP).id(i)));
        case 5 -> all.writeBytes(bytes(frame.begin(ForwardFrame.FENCED, GROUP).id(i)));
        case 0 -> all.writeBytes(bytes(frame.begin(ForwardFrame.BIND, GROUP)));
        case 1 -> all.writeBytes(bytes(request(i, Operation.WRITE, 4096)));
        case 2 -> all.writeBytes(bytes(request(i, Operation.READ, 65536)));
        default -> all.writeBytes(bytes(request(i, Operation.BLOCK_STATUS, 4096)));
      }
    }
    return all.toByteArray();
  }

  /** Changes a bit, or a field under a right checksum. */
  private static void damage(byte[] bytes, SimRandom random) {
    // A node that leads and lies about the epoch is believed.
    boolean bound = bytes[CRC_END] == ForwardFrame.BOUND;
    if (bound || random.oneIn(2)) {
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
      return;
    }
    byte[] header = new byte[ForwardFrame.BYTES];
    System.arraycopy(bytes, 0, header, 0, header.length);
    int at = CRC_END + 4 * random.nextInt((header.length - CRC_END) / 4);
    new UnsafeBuffer(header)
        .putInt(at, random.oneIn(2) ? -1 - random.nextInt(9) : random.nextInt(5000));
    seal(header);
    System.arraycopy(header, 0, bytes, 0, header.length);
  }

  @Test
  void aServerSurvivesWhateverIsSentToIt() {
    int ended = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
      SimRandom random = new SimRandom(seed);
      Wire.Raw raw = wire.dial(server::accept);
      byte[] hello = hello(2, 1, 1, seed);
      boolean early = random.oneIn(5);
      if (early) {
        hello[random.nextInt(hello.length)] ^= (byte) (1 << random.nextInt(8));
      }
      raw.send(hello);
      byte[] bytes = requests(random);
      damage(bytes, random);
      raw.send(bytes);
      wire.pass(1);
      ended += raw.closed ? 1 : 0;
      raw.connection.close();
      wire.pass(1);
      assertThat(server.sessionCount()).as("seed %d", seed).isZero();
    }
    assertThat(ended).isGreaterThan(SEEDS / 2);
    // And it serves on.
    Wire.Raw raw = wire.dial(server::accept);
    raw.send(hello(2, 1, 1, SEEDS + 1));
    raw.send(bytes(request(77, Operation.FLUSH, 0)));
    wire.pass(1);
    byte[] answers = raw.take();
    assertThat(frame.load(new UnsafeBuffer(answers), 64, answers.length - 64)).isEqualTo(64);
    assertThat(frame.id()).isEqualTo(77);
    assertThat(frame.status()).isEqualTo(Status.EREMOTE);
  }

  @Test
  void payloadThatIsNotWhatWasSentIsNotWritten() {
    Wire.Raw raw = wire.dial(server::accept);
    raw.send(hello(2, 1, 1, 1));
    wire.pass(1);
    byte[] bytes = bytes(request(5, Operation.WRITE, 4096));
    bytes[ForwardFrame.BYTES + 1000] = 1;
    raw.send(bytes);
    wire.pass(1);
    assertThat(raw.closed).isTrue();
    assertThat(raw.take()).as("only a welcome").hasSize(ForwardFrame.BYTES);
  }

  @Test
  void whoIsNotMeantOrOverIsRefusedInWords() {
    assertThat(refusal(hello(2, 7, 1, 1))).contains("meant node 7", "this is node 1");
    assertThat(refusal(hello(1, 1, 1, 1))).contains("node 1");
    assertThat(refusal(hello(2, 1, 2, 5))).isNull();
    assertThat(refusal(hello(2, 1, 2, 5))).contains("is over");
    assertThat(refusal(hello(2, 1, 1, 6))).contains("is over");
    assertThat(refusal(hello(2, 1, 2, 6))).isNull();
  }

  /** A later connection ends the earlier one. */
  @Test
  void aNodeThatConnectsAnewEndsItsEarlierConnection() {
    Wire.Raw first = wire.dial(server::accept);
    first.send(hello(2, 1, 1, 1));
    wire.pass(1);
    Wire.Raw second = wire.dial(server::accept);
    second.send(hello(2, 1, 1, 2));
    wire.pass(1);
    assertThat(first.closed).isTrue();
    assertThat(second.closed).isFalse();
    assertThat(server.sessionCount()).isEqualTo(1);
  }

  /** It holds memory, and segments of the log, as long as it is there. */
  @Test
  void aNodeThatAsksAndDoesNotTakeTheAnswersLosesItsConnection() {
    Wire.Raw raw = wire.dial(server::accept);
    raw.send(hello(2, 1, 1, 1));
    wire.pass(1);
    raw.connection.pauseReceive();
    ByteArrayOutputStream some = new ByteArrayOutputStream();
    for (int i = 0; i < 100; i++) {
      some.writeBytes(bytes(request(i, Operation.FLUSH, 0)));
    }
    // More than fits both ends and the way between them.
    int sent = 0;
    for (int i = 0; i < 200; i++) {
      if (raw.connection.canSend(some.size(), 0)) {
        raw.send(some.toByteArray());
        sent += some.size();
      }
      wire.pass(1);
    }
    assertThat(sent).as("what was taken of it").isBetween(200_000, 1_200_000);
    assertThat(server.sessionCount()).isEqualTo(1);
    wire.pass(3_500);
    assertThat(server.sessionCount()).isZero();
  }

  private String refusal(byte[] hello) {
    Wire.Raw raw = wire.dial(server::accept);
    raw.send(hello);
    wire.pass(1);
    byte[] answer = raw.take();
    assertThat(frame.load(new UnsafeBuffer(answer), 0, answer.length)).isPositive();
    return frame.type() == ForwardFrame.REFUSED ? frame.text() : null;
  }

  // What a server answers.

  private static final class Request extends VolumeRequest {
    Integer status;

    @Override
    protected void onCompleted(int completedWith) {
      assertThat(status).as("completed twice").isNull();
      status = completedWith;
      data.releaseAll();
    }
  }

  private record Facts() implements ForwardedVolume.Facts {
    @Override
    public String name() {
      return "v";
    }

    @Override
    public long sizeBytes() {
      return 1 << 20;
    }

    @Override
    public VolumeSettings settings() {
      return VolumeSettings.DEFAULT;
    }
  }

  private byte[] bound() {
    ForwardFrame bound = frame.begin(ForwardFrame.BOUND, GROUP);
    for (int i = 0; i < 3; i++) {
      bound.detail(i, 1);
    }
    return bytes(bound.headerBytes(ForwardFrame.BOUND_BYTES).range(1, 1 << 20));
  }

  private byte[] reply(long id, Operation operation, SimRandom random) {
    ForwardFrame reply = frame.begin(ForwardFrame.REPLY, GROUP).id(id);
    if (operation == Operation.READ) {
      int hole = 4096 * random.nextInt(3);
      reply.run(0, 16384 - hole);
      reply.run(1, -hole);
      int runs = hole == 0 ? 1 : 2;
      return bytes(reply.count(runs).headerBytes(ForwardFrame.BYTES + 8).payload(16384 - hole, 0));
    }
    if (operation == Operation.BLOCK_STATUS) {
      reply.detail(0, 16384);
      reply.detail(1, random.nextInt(4));
      return bytes(reply.count(1).headerBytes(ForwardFrame.BYTES + 16));
    }
    return bytes(reply);
  }

  @Test
  void aClientSurvivesWhateverIsAnsweredToIt() {
    wire.accept();
    client.addPeer(2, "far");
    ForwardedVolume volume = client.add(GROUP, new Facts(), List.of(2));
    int failed = 0;
    int served = 0;
    Operation[] operations = Operation.values();
    for (int seed = 1; seed <= SEEDS; seed++) {
      SimRandom random = new SimRandom(seed);
      List<Request> requests = new ArrayList<>();
      for (int i = 1 + random.nextInt(3); i > 0; i--) {
        Request request = new Request();
        request.operation = operations[random.nextInt(operations.length)];
        request.length = 16384;
        if (request.operation == Operation.WRITE) {
          request.payload.add(frame.memory().address(), 16384, null, 0);
        }
        requests.add(request);
        submit(volume, request);
      }
      // The answers, of which one is damaged; then right ones until all have ended.
      boolean damaged = false;
      for (int turn = 0;
          turn < MAX_TURNS && requests.stream().anyMatch(r -> r.status == null);
          turn++) {
        damaged |= answer(random, damaged);
        wire.step();
      }
      for (Request request : requests) {
        assertThat(request.status).as("seed %d, %s", seed, request.operation).isNotNull();
        failed += request.status == Status.ESTALE ? 1 : 0;
        served += request.status == Status.OK ? 1 : 0;
      }
      assertThat(client.isIdle()).as("seed %d", seed).isTrue();
    }
    assertThat(failed).isGreaterThan(SEEDS / 10);
    assertThat(served).isGreaterThan(SEEDS / 2);
  }

  private void submit(ForwardedVolume volume, Request request) {
    if (!volume.submit(request)) {
      volume.awaitReady(() -> submit(volume, request));
    }
  }

  /** Answers what has come on the newest connection; returns whether wrongly. */
  private boolean answer(SimRandom random, boolean damaged) {
    Wire.Raw raw = wire.raw;
    if (raw == null || raw.closed) {
      return false;
    }
    byte[] asked = raw.take();
    boolean wrong = false;
    int at = 0;
    while (at < asked.length) {
      UnsafeBuffer buffer = new UnsafeBuffer(asked);
      if (buffer.getLong(at) == ForwardHello.MAGIC) {
        at += ForwardHello.BYTES;
        raw.send(bytes(frame.begin(ForwardFrame.WELCOME, 0).count(ForwardFrame.VERSION)));
        continue;
      }
      int bytes = frame.load(buffer, at, asked.length - at);
      assertThat(bytes).isPositive();
      at += bytes + frame.payloadBytes();
      byte[] reply =
          switch (frame.type()) {
            case ForwardFrame.BIND -> bound();
            case ForwardFrame.ALIVE -> bytes(frame.begin(ForwardFrame.FENCE, GROUP).id(7));
            case ForwardFrame.REQUEST -> reply(frame.id(), frame.operation(), random);
            default -> new byte[0];
          };
      if (reply.length > 0 && !damaged && !wrong && random.oneIn(3)) {
        damage(reply, random);
        wrong = true;
      }
      if (reply.length > 0) {
        raw.send(reply);
      }
    }
    return wrong;
  }
}
