package io.plinth.target.cluster;

import io.plinth.target.volume.FlushPolicy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Collections;
import java.util.TreeMap;

/**
 * The state machine of group 0. Commands are records of its log, little-endian:
 *
 * <pre>
 *  create:  u8 1, u32 group, u32 log, u64 sizeBytes, u8 flushPolicy (0 flush, 1 always), u16 length, name in UTF-8
 *  delete:  u8 2, u32 group
 * </pre>
 *
 * Group numbers are never used again, so that records of a deleted volume never reach another.
 */
public final class Catalogue {
  /** The group whose log the commands are in. */
  public static final int GROUP = 0;

  private static final byte CREATE = 1;
  private static final byte DELETE = 2;
  private static final int CREATE_FIXED_BYTES = 20;

  private final TreeMap<Integer, Entry> entries = new TreeMap<>();
  private int nextGroup = GROUP + 1;

  /** A volume as the catalogue knows it. */
  public record Entry(int group, int log, String name, long sizeBytes, FlushPolicy flushPolicy) {}

  /** Returns the volumes in the order of their groups. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(entries.values());
  }

  /** Returns the volume of a group, or null. */
  public Entry find(int group) {
    return entries.get(group);
  }

  /** A group has existed: its number is not used again. */
  public void noteGroup(int group) {
    nextGroup = Math.max(nextGroup, group + 1);
  }

  /** Encodes the whole state, for {@link #restore}. */
  public byte[] encode() {
    ByteBuffer buffer =
        ByteBuffer.allocate(8 + entries.size() * (CREATE_FIXED_BYTES + 4 + 256))
            .order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(nextGroup).putInt(entries.size());
    for (Entry entry : entries.values()) {
      byte[] create = encodeCreate(entry);
      buffer.putInt(create.length).put(create);
    }
    byte[] bytes = new byte[buffer.position()];
    buffer.get(0, bytes);
    return bytes;
  }

  /**
   * Takes back an encoded state; nothing for empty bytes.
   *
   * @throws IllegalArgumentException when the bytes are none
   */
  public void restore(byte[] bytes) {
    if (bytes.length == 0) {
      return;
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try {
      nextGroup = buffer.getInt();
      for (int i = buffer.getInt(); i > 0; i--) {
        byte[] create = new byte[Math.min(buffer.getInt(), buffer.remaining())];
        buffer.get(create);
        apply(create);
      }
    } catch (java.nio.BufferUnderflowException e) {
      throw new IllegalArgumentException("the catalogue in the checkpoint is cut short", e);
    }
  }

  /** Returns the group number that the next volume gets, and takes it. */
  public int takeGroup() {
    return nextGroup++;
  }

  /** Encodes the creation of a volume. */
  public static byte[] encodeCreate(Entry entry) {
    byte[] name = entry.name.getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer =
        ByteBuffer.allocate(CREATE_FIXED_BYTES + name.length).order(ByteOrder.LITTLE_ENDIAN);
    buffer.put(CREATE).putInt(entry.group).putInt(entry.log).putLong(entry.sizeBytes);
    buffer.put((byte) (entry.flushPolicy == FlushPolicy.ALWAYS ? 1 : 0));
    buffer.putShort((short) name.length).put(name);
    return buffer.array();
  }

  /** Encodes the deletion of a volume. */
  public static byte[] encodeDelete(int group) {
    return ByteBuffer.allocate(5).order(ByteOrder.LITTLE_ENDIAN).put(DELETE).putInt(group).array();
  }

  /**
   * Applies a command.
   *
   * @return the entry that was created or deleted; null when a deleted one was not there
   * @throws IllegalArgumentException when the bytes are no command
   */
  public Entry apply(byte[] command) {
    ByteBuffer buffer = ByteBuffer.wrap(command).order(ByteOrder.LITTLE_ENDIAN);
    try {
      byte type = buffer.get();
      if (type == CREATE) {
        Entry entry = decodeCreate(buffer);
        entries.put(entry.group, entry);
        nextGroup = Math.max(nextGroup, entry.group + 1);
        return entry;
      }
      if (type == DELETE) {
        return entries.remove(buffer.getInt());
      }
      throw new IllegalArgumentException("unknown catalogue command " + type);
    } catch (java.nio.BufferUnderflowException e) {
      throw new IllegalArgumentException(
          "catalogue command of " + command.length + " bytes is cut short", e);
    }
  }

  private static Entry decodeCreate(ByteBuffer buffer) {
    int group = buffer.getInt();
    int log = buffer.getInt();
    long sizeBytes = buffer.getLong();
    FlushPolicy policy = buffer.get() == 1 ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
    byte[] name = new byte[buffer.getShort()];
    buffer.get(name);
    return new Entry(group, log, new String(name, StandardCharsets.UTF_8), sizeBytes, policy);
  }
}
