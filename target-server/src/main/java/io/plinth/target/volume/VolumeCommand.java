package io.plinth.target.volume;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * A change of a volume other than of its blocks, as an entry of its group's log; little-endian:
 *
 * <pre>
 *  create:    u8 1, u64 sizeBytes, u8 flushPolicy, name
 *  clone:     u8 2, u32 source group, u8 flushPolicy, name, name of the source's snapshot (empty: as it is)
 *  snapshot:  u8 3, u64 epochMs, name
 *  delete:    u8 4, name of the snapshot
 *  roll back: u8 5, name of the snapshot
 *  resize:    u8 6, u64 sizeBytes
 *  verify:    u8 7: every member freezes what it has, to be compared; changes nothing
 * </pre>
 *
 * A name is a u16 length and UTF-8.
 *
 * @param kind what is done
 * @param number size, source group or time, as the kind has it
 * @param flushPolicy of a volume that begins to exist
 * @param name of the volume that begins to exist, or of the snapshot
 * @param snapshot of the source of a clone
 */
record VolumeCommand(
    Kind kind, long number, FlushPolicy flushPolicy, String name, String snapshot) {
  private static final int FIXED_BYTES = 16;

  enum Kind {
    CREATE(1),
    CLONE(2),
    SNAPSHOT(3),
    DELETE_SNAPSHOT(4),
    ROLLBACK(5),
    RESIZE(6),
    VERIFY(7);

    private final int code;

    Kind(int code) {
      this.code = code;
    }
  }

  static VolumeCommand create(String name, long sizeBytes, FlushPolicy policy) {
    return new VolumeCommand(Kind.CREATE, sizeBytes, policy, name, "");
  }

  static VolumeCommand cloneOf(int group, String snapshot, String name, FlushPolicy policy) {
    return new VolumeCommand(Kind.CLONE, group, policy, name, snapshot);
  }

  static VolumeCommand snapshot(String name, long epochMs) {
    return new VolumeCommand(Kind.SNAPSHOT, epochMs, FlushPolicy.FLUSH, name, "");
  }

  static VolumeCommand deleteSnapshot(String name) {
    return new VolumeCommand(Kind.DELETE_SNAPSHOT, 0, FlushPolicy.FLUSH, name, "");
  }

  static VolumeCommand rollback(String name) {
    return new VolumeCommand(Kind.ROLLBACK, 0, FlushPolicy.FLUSH, name, "");
  }

  static VolumeCommand resize(long sizeBytes) {
    return new VolumeCommand(Kind.RESIZE, sizeBytes, FlushPolicy.FLUSH, "", "");
  }

  static VolumeCommand verify() {
    return new VolumeCommand(Kind.VERIFY, 0, FlushPolicy.FLUSH, "", "");
  }

  byte[] encode() {
    byte[] first = name.getBytes(StandardCharsets.UTF_8);
    byte[] second = snapshot.getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer =
        ByteBuffer.allocate(FIXED_BYTES + first.length + second.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    buffer.put((byte) kind.code);
    switch (kind) {
      case CREATE -> putName(buffer.putLong(number).put(policyCode()), first);
      case CLONE -> putName(putName(buffer.putInt((int) number).put(policyCode()), first), second);
      case SNAPSHOT -> putName(buffer.putLong(number), first);
      case DELETE_SNAPSHOT, ROLLBACK -> putName(buffer, first);
      case RESIZE -> buffer.putLong(number);
      case VERIFY -> {}
    }
    byte[] bytes = new byte[buffer.position()];
    buffer.get(0, bytes);
    return bytes;
  }

  /**
   * Decodes a command.
   *
   * @throws IllegalArgumentException when the bytes are none; one line
   */
  static VolumeCommand decode(byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try {
      int code = buffer.get();
      return switch (code) {
        case 1 -> {
          long size = buffer.getLong();
          FlushPolicy policy = policy(buffer.get());
          yield create(name(buffer), size, policy);
        }
        case 2 -> {
          int group = buffer.getInt();
          FlushPolicy policy = policy(buffer.get());
          String name = name(buffer);
          yield cloneOf(group, name(buffer), name, policy);
        }
        case 3 -> {
          long epochMs = buffer.getLong();
          yield snapshot(name(buffer), epochMs);
        }
        case 4 -> deleteSnapshot(name(buffer));
        case 5 -> rollback(name(buffer));
        case 6 -> resize(buffer.getLong());
        case 7 -> verify();
        default -> throw new IllegalArgumentException("unknown volume command " + code);
      };
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException(
          "volume command of " + bytes.length + " bytes is cut short", e);
    }
  }

  private byte policyCode() {
    return (byte) (flushPolicy == FlushPolicy.ALWAYS ? 1 : 0);
  }

  private static FlushPolicy policy(byte code) {
    return code == 1 ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
  }

  private static ByteBuffer putName(ByteBuffer buffer, byte[] name) {
    return buffer.putShort((short) name.length).put(name);
  }

  private static String name(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.getShort() & 0xFFFF];
    if (bytes.length > buffer.remaining()) {
      throw new BufferUnderflowException();
    }
    buffer.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
