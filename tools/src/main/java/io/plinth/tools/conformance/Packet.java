package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Bytes to send, put together field by field, big-endian. */
final class Packet {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  Packet u16(int value) {
    bytes.write(value >> 8);
    bytes.write(value);
    return this;
  }

  Packet u32(int value) {
    return u16(value >> 16).u16(value);
  }

  Packet u64(long value) {
    return u32((int) (value >> 32)).u32((int) value);
  }

  Packet bytes(byte[] value) {
    bytes.writeBytes(value);
    return this;
  }

  /** A string behind its length. */
  Packet string(String value) {
    byte[] text = value.getBytes(StandardCharsets.UTF_8);
    return u32(text.length).bytes(text);
  }

  byte[] toBytes() {
    return bytes.toByteArray();
  }

  /** An option with its header. */
  static byte[] option(int option, byte[] data) {
    return new Packet().u64(Nbd.OPTION_MAGIC).u32(option).u32(data.length).bytes(data).toBytes();
  }

  /** The data of INFO and GO. */
  static byte[] info(String export, int... requests) {
    Packet packet = new Packet().string(export).u16(requests.length);
    for (int request : requests) {
      Packet _ = packet.u16(request);
    }
    return packet.toBytes();
  }

  /** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
  static byte[] meta(String export, String... queries) {
    Packet packet = new Packet().string(export).u32(queries.length);
    for (String query : queries) {
      Packet _ = packet.string(query);
    }
    return packet.toBytes();
  }

  /** Returns all that remains in a buffer. */
  static byte[] rest(ByteBuffer buffer) {
    byte[] rest = new byte[buffer.remaining()];
    ByteBuffer _ = buffer.get(rest);
    return rest;
  }
}
