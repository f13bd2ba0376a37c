package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_RESIZE;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_RESIZE;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_INFO;
import static io.plinth.target.nbd.TestClient.exportInfo;
import static io.plinth.target.nbd.TestClient.infoData;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.target.nbd.TestClient.Chunk;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** RESIZE, "the resize branch" of the text: rule Z1 of the conformance table. */
@ParameterizedClass
@EnumSource(Split.class)
class ResizeTest {
  private static final int MEMORY = 1 << 20;
  private static final int SIZE = MEMORY / 2;
  private static final int EPERM = 1;
  private static final int EIO = 5;
  private static final int EINVAL = 22;
  private static final int ENOSPC = 28;
  private static final int ESHUTDOWN = 108;

  @Parameter Split split;

  private final TestServer server =
      new TestServer(
          NbdLimits.DEFAULT.with(10, 0, true), 2, 2 * (32 << 20) / TestServer.CHUNK_BYTES);
  private final MemoryVolume volume = half("demo", 0);

  private MemoryVolume half(String name, int core) {
    MemoryVolume made = server.volume(name, core, MEMORY);
    made.sizeBytes = SIZE;
    return made;
  }

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private TestClient connect() {
    return server.connect(split);
  }

  private static byte[] filled(int length, int value) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  @Test
  void resizeIsAdvertisedWhereItIsACommand() {
    MemoryVolume snapshot = half("demo@s", 0);
    snapshot.readOnly = true;
    TestClient client = connect().greet();
    for (String export : new String[] {"demo", "demo@s"}) {
      client.option(OPT_INFO, infoData(export));
      int flags = exportInfo(client.repliesUntilAck(OPT_INFO)).flags();
      assertThat(flags & FLAG_SEND_RESIZE).as(export).isEqualTo(1 << 9);
    }
    client.option(OPT_GO, infoData("demo@s")).repliesUntilAck(OPT_GO);
    client.request(CMD_RESIZE, 0, 1, SIZE, 0).expectSimple(EPERM, 1);
  }

  @Test
  void theConnectionThatResizesGoesOnWithTheNewSizeAtOnce() {
    TestClient client = connect().openSimple("demo");
    client.write(0, 1, SIZE, filled(512, 7)).expectSimple(ENOSPC, 1);
    client.request(CMD_RESIZE, 0, 2, MEMORY, 0).expectSimple(0, 2);
    client.write(0, 3, SIZE, filled(512, 7)).expectSimple(0, 3);
    client.request(CMD_READ, 0, 4, MEMORY - 512, 512);
    assertThat(client.simpleRead(4, 512)).containsOnly(0);
    client.request(CMD_READ, 0, 5, MEMORY, 512).expectSimple(EINVAL, 5);
    client.request(CMD_RESIZE, 0, 6, 8192, 0).expectSimple(0, 6);
    client.request(CMD_READ, 0, 7, 8192, 512).expectSimple(EINVAL, 7);
  }

  @Test
  void othersLearnTheSizeWhenTheyConnectAgainOrAsk() {
    TestClient other = connect().openSimple("demo");
    TestClient client = connect().openSimple("demo");
    client.request(CMD_RESIZE, 0, 1, MEMORY, 0).expectSimple(0, 1);
    other.expectQuiet();
    other.request(CMD_READ, 0, 2, SIZE, 512).expectSimple(EINVAL, 2);
    TestClient asking = connect().greet().option(OPT_INFO, infoData("demo"));
    assertThat(exportInfo(asking.repliesUntilAck(OPT_INFO)).size()).isEqualTo(MEMORY);
    connect().openSimple("demo").request(CMD_READ, 0, 3, SIZE, 512).simpleRead(3, 512);
  }

  @Test
  void requestsInFlightAreUnharmedAndOthersGoOnMeanwhile() {
    server.holdsResizes = true;
    volume.immediate = false;
    TestClient client = connect().openSimple("demo");
    byte[] large = filled(200 << 10, 9);
    client.write(0, 1, 0, large);
    client.request(CMD_READ, 0, 2, 256 << 10, 4096);
    client.request(CMD_RESIZE, 0, 3, MEMORY, 0);
    client.request(CMD_READ, 0, 4, 0, 200 << 10);
    client.request(CMD_READ, 0, 5, SIZE, 512).expectSimple(EINVAL, 5);
    volume.complete(1);
    assertThat(client.simpleRead(2, 4096)).containsOnly(0);
    server.endResizes();
    client.expectSimple(0, 3);
    volume.complete(0);
    client.expectSimple(0, 1);
    volume.complete(0);
    assertThat(client.simpleRead(4, 200 << 10)).isEqualTo(large);
  }

  @Test
  void eachFailureHasItsErrorAndTheSizeStays() {
    TestClient client = connect().openSimple("demo");
    int[][] errors = {
      {Status.EPERM, EPERM},
      {Status.EIO, EIO},
      {Status.ENOSPC, ENOSPC},
      {Status.ESHUTDOWN, ESHUTDOWN},
      {Status.EINVAL, EINVAL},
      {Status.ENOENT, EIO}
    };
    for (int[] error : errors) {
      server.resizeStatus = error[0];
      client.request(CMD_RESIZE, 0, 1, MEMORY, 0).expectSimple(error[1], 1);
      client.request(CMD_READ, 0, 2, SIZE, 512).expectSimple(EINVAL, 2);
    }
    client.request(CMD_RESIZE, 0, 3, MEMORY, 512).expectSimple(EINVAL, 3);
    client.request(CMD_RESIZE, 0, 4, MEMORY - 1, 0).expectSimple(EINVAL, 4);
    client.request(CMD_RESIZE, 0, 5, -512, 0).expectSimple(ENOSPC, 5);
    client.request(CMD_READ, 0, 6, 0, 512).simpleRead(6, 512);
  }

  @Test
  void aStructuredErrorSaysWhy() {
    server.resizeStatus = Status.EPERM;
    server.resizeProblem = "volume demo has data beyond 4096 bytes";
    TestClient client = connect().openStructured("demo");
    client.request(CMD_RESIZE, 0, 1, 4096, 0);
    Chunk chunk = client.chunks(1).getFirst();
    assertThat(chunk.type()).isEqualTo(NbdProtocol.REPLY_TYPE_ERROR);
    ByteBuffer payload = chunk.buffer();
    assertThat(payload.getInt()).isEqualTo(EPERM);
    payload.getShort();
    assertThat(UTF_8.decode(payload).toString()).isEqualTo(server.resizeProblem);
    server.resizeStatus = Status.OK;
    server.resizeProblem = null;
    client.request(CMD_RESIZE, 0, 2, 4096, 0).expectSimple(0, 2);
  }

  @Test
  void extendedHeadersCarryItAsWell() {
    TestClient client = connect().openExtended("demo");
    client.extendedRequest(CMD_RESIZE, 0, 1, MEMORY, 0);
    assertThat(client.extendedChunk(MEMORY).type()).isEqualTo(NbdProtocol.REPLY_TYPE_NONE);
    client.extendedRequest(CMD_READ, 0, 2, MEMORY - 512, 512);
    assertThat(client.extendedChunk(MEMORY - 512).done()).isTrue();
    client.extendedRequest(CMD_RESIZE, 0, 3, SIZE, 1L << 40);
    assertThat(client.extendedChunk(SIZE).type()).isEqualTo(NbdProtocol.REPLY_TYPE_ERROR);
  }

  @Test
  void aClientMayGoWhileItsResizeIsUnderWay() {
    server.holdsResizes = true;
    TestClient client = connect().openSimple("demo");
    client.request(CMD_RESIZE, 0, 1, MEMORY, 0).expectQuiet();
    client.hangUp();
    server.endResizes();
    assertThat(server.requestsInUse()).isZero();
    assertThat(volume.sizeBytes()).isEqualTo(MEMORY);
  }

  @Test
  void aShutdownWaitsForAResizeAndRefusesTheNext() {
    server.holdsResizes = true;
    TestClient client = connect().openSimple("demo");
    client.request(CMD_RESIZE, 0, 1, MEMORY, 0).expectQuiet();
    server.contexts.get(0).drain(() -> {});
    client.request(CMD_RESIZE, 0, 2, SIZE, 0).expectSimple(ESHUTDOWN, 2);
    server.endResizes();
    client.expectSimple(0, 1);
    client.expectClosed();
  }

  @Test
  void resizeIsUnknownWhereItIsOff() {
    try (TestServer off = new TestServer()) {
      MemoryVolume fixed = off.volume("demo", 0, MEMORY);
      TestClient client = off.connect(split).greet().option(OPT_GO, infoData("demo"));
      int flags = exportInfo(client.repliesUntilAck(OPT_GO)).flags();
      assertThat(flags & FLAG_SEND_RESIZE).isZero();
      client.request(CMD_RESIZE, 0, 1, SIZE, 0).expectSimple(EINVAL, 1);
      assertThat(fixed.sizeBytes()).isEqualTo(MEMORY);
    }
  }
}
