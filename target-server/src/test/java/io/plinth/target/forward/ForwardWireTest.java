package io.plinth.target.forward;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.target.volume.Operation;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Bytes of version 2, which every later program has to read, and to write for nodes that speak it.
 * {@code -Dplinth.golden.rewrite=true} writes the files anew.
 */
class ForwardWireTest {
  private static final ForwardIdentity NODE =
      new ForwardIdentity(
          new UUID(0x0102030405060708L, 0x1112131415161718L), 5, 2, 0x2122232425262728L);
  private static final int GROUP = 0xA1A2A3;

  private final ForwardFrame frame = new ForwardFrame();
  private final ForwardFrame read = new ForwardFrame();
  private final Wire wire = new Wire();

  @AfterEach
  void free() {
    frame.close();
    read.close();
  }

  @Test
  void hello() throws IOException {
    ForwardHello hello = new ForwardHello(frame.memory());
    DirectBuffer encoded = hello.encode(NODE, 6, 2, 0x3132333435363738L);
    byte[] bytes = new byte[ForwardHello.BYTES];
    encoded.getBytes(0, bytes);
    assertGolden("forward-hello.hex", bytes);
    ForwardHello other = new ForwardHello(read.memory());
    for (int cut = 0; cut < bytes.length; cut++) {
      assertThat(other.load(new UnsafeBuffer(bytes), 0, cut)).as("%d bytes", cut).isZero();
    }
    assertThat(other.load(new UnsafeBuffer(bytes), 0, bytes.length)).isEqualTo(bytes.length);
    assertThat(other.identity()).isEqualTo(NODE);
    assertThat(other.targetNode()).isEqualTo(6);
    assertThat(other.targetCore()).isEqualTo(2);
    assertThat(other.sequence()).isEqualTo(0x3132333435363738L);
    assertThat(List.of(other.minVersion(), other.maxVersion())).containsExactly(2, 2);
  }

  @Test
  void framesOfEachType() throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    all.writeBytes(sent(frame.begin(ForwardFrame.WELCOME, 0).count(ForwardFrame.VERSION)));
    all.writeBytes(sent(frame.refusal("cluster a; this is b")));
    all.writeBytes(sent(frame.begin(ForwardFrame.BIND, GROUP)));
    ForwardFrame bound = frame.begin(ForwardFrame.BOUND, GROUP);
    bound.detail(0, 0x0404040404040404L);
    bound.detail(1, 0x0505050505050505L);
    bound.detail(2, 0x0606060606060606L);
    all.writeBytes(
        sent(
            bound
                .headerBytes(ForwardFrame.BOUND_BYTES)
                .status(Status.EREMOTE, 3)
                .range(0x0202020202020202L, 0x0303030303030303L)));
    all.writeBytes(sent(frame.begin(ForwardFrame.UNBIND, GROUP)));
    all.writeBytes(sent(frame.begin(ForwardFrame.GONE, GROUP).range(7, 8)));
    for (Operation operation : Operation.values()) {
      boolean write = operation == Operation.WRITE;
      all.writeBytes(
          sent(
              frame
                  .begin(ForwardFrame.REQUEST, GROUP)
                  .id(0x0708090A0B0C0D0EL)
                  .operation(operation, ForwardFrame.FUA | ForwardFrame.NO_HOLE)
                  .range(0x10000, 0x2000)
                  .term(0x616263646566L)
                  .payload(write ? 0x2000 : 0, write ? 0x51525354 : 0)));
      assertThat(read.operation()).isEqualTo(operation);
      assertThat(read.term()).isEqualTo(0x63646566);
    }
    ForwardFrame data = frame.begin(ForwardFrame.REPLY, GROUP).id(9).count(3);
    data.run(0, 4096);
    data.run(1, -8192);
    data.run(2, 512);
    data.run(3, 0);
    all.writeBytes(sent(data.headerBytes(ForwardFrame.BYTES + 16).payload(4608, 0)));
    ForwardFrame extents = frame.begin(ForwardFrame.REPLY, GROUP).id(10).count(1);
    extents.detail(0, 0x2000);
    extents.detail(1, 3);
    all.writeBytes(sent(extents.headerBytes(ForwardFrame.BYTES + 16)));
    all.writeBytes(
        sent(frame.begin(ForwardFrame.REPLY, GROUP).id(11).status(Status.ESTALE, 2).range(12, 0)));
    all.writeBytes(sent(frame.begin(ForwardFrame.ALIVE, 0)));
    all.writeBytes(sent(frame.begin(ForwardFrame.FENCE, GROUP).id(13)));
    all.writeBytes(sent(frame.begin(ForwardFrame.FENCED, GROUP).id(13).status(Status.EREMOTE, -1)));
    assertGolden("forward-frames.hex", all.toByteArray());
  }

  /** Sends a frame over a wire, and reads what has come; returns its bytes. */
  private byte[] sent(ForwardFrame written) {
    Wire.Raw[] near = new Wire.Raw[1];
    Wire.Raw far =
        wire.dial(connection -> {
          near[0] = new Wire.Raw(connection);
          return near[0];
        });
    while (near[0] == null) {
      wire.step();
    }
    assertThat(written.send(near[0].connection)).isTrue();
    wire.pass(1);
    byte[] bytes = far.take();
    assertThat(read.load(new UnsafeBuffer(bytes), 0, bytes.length - 1)).isZero();
    assertThat(read.load(new UnsafeBuffer(bytes), 0, bytes.length))
        .as("%s", read.problem())
        .isEqualTo(bytes.length);
    return bytes;
  }

  private static void assertGolden(String name, byte[] bytes) throws IOException {
    Path file = Path.of("src/test/resources/golden", name);
    StringBuilder text = new StringBuilder();
    for (int at = 0; at < bytes.length; at += 16) {
      int end = Math.min(bytes.length, at + 16);
      text.append(HexFormat.ofDelimiter(" ").formatHex(bytes, at, end)).append('\n');
    }
    if (Boolean.getBoolean("plinth.golden.rewrite")) {
      Files.writeString(file, text);
    }
    assertThat(text).hasToString(Files.readString(file));
  }
}
