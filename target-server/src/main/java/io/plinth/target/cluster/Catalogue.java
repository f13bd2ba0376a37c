package io.plinth.target.cluster;

import io.plinth.log.journal.PlantedBug;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;

/**
 * The state machine of group 0. Commands are records of its log, little-endian:
 *
 * <pre>
 *  create:  u8 1, u32 group, u32 log, u64 sizeBytes, u8 flushPolicy (0 flush, 1 always), u16 length, name in UTF-8
 *  delete:  u8 2, u32 group
 *  set:     u8 3, u32 group, all of the settings (see {@link VolumeSettings})
 *  create with settings: u8 4, the rest as of create, settings
 *  create with members:  u8 5, the rest as of create, u8 members, u32 node each, settings
 * </pre>
 *
 * Group numbers are never used again, so that records of a deleted volume never reach another. A
 * volume begins with its settings by one command: with two, a crash between them would leave a
 * volume that is less protected than asked for. A volume with members is not created when there is
 * one of its name: who proposes it may not know of all that is committed.
 *
 * <p>The whole state is {@code u32 next group, u32 volumes}, and for each {@code u32 length} and
 * the command that creates it.
 */
public final class Catalogue {
  /** The group whose log the commands are in. */
  public static final int GROUP = 0;

  /**
   * What the settings of all volumes together may take: all of the state is in memory, and in each
   * checkpoint in one piece.
   */
  public static final int MAXIMUM_SETTINGS_BYTES = 4 << 20;

  private static final byte CREATE = 1;
  private static final byte DELETE = 2;
  private static final byte SET = 3;
  private static final byte CREATE_WITH_SETTINGS = 4;
  private static final byte CREATE_WITH_MEMBERS = 5;
  private static final int CREATE_FIXED_BYTES = 20;

  private final boolean forgetsSettings;
  private final TreeMap<Integer, Entry> entries = new TreeMap<>();
  private int nextGroup = GROUP + 1;
  private int settingsBytes;

  /**
   * A volume as the catalogue knows it.
   *
   * @param group its number
   * @param log which log of each member it is in
   * @param sizeBytes what it began with: a change is in its own log
   * @param members the nodes that have replicas; empty for those of a node that is in no cluster
   */
  public record Entry(
      int group,
      int log,
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      VolumeSettings settings,
      List<Integer> members) {
    /** Copies the list. */
    public Entry {
      members = List.copyOf(members);
    }

    /** Returns the same volume with other settings. */
    public Entry with(VolumeSettings changed) {
      return new Entry(group, log, name, sizeBytes, flushPolicy, changed, members);
    }

    /** Returns the same volume on these nodes. */
    public Entry on(List<Integer> nodes) {
      return new Entry(group, log, name, sizeBytes, flushPolicy, settings, nodes);
    }
  }

  /** What becomes of an entry. */
  public enum Change {
    CREATED,
    DELETED,
    SET
  }

  /**
   * What a command did.
   *
   * @param change what became of the entry
   * @param entry as it is now, or was before it was deleted
   */
  public record Applied(Change change, Entry entry) {}

  /**
   * Creates an empty catalogue.
   *
   * @param plantedBugs empty except in tests
   */
  public Catalogue(Set<PlantedBug> plantedBugs) {
    this.forgetsSettings = plantedBugs.contains(PlantedBug.CHECKPOINT_FORGETS_SETTINGS);
  }

  /** Returns the volumes in the order of their groups. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(entries.values());
  }

  /** Returns the volume of a group, or null. */
  public Entry find(int group) {
    return entries.get(group);
  }

  /** Returns the volume of that name, or null. */
  public Entry find(String name) {
    for (Entry entry : entries.values()) {
      if (entry.name.equals(name)) {
        return entry;
      }
    }
    return null;
  }

  /** Returns how many bytes the settings of all volumes take in {@link #encode}. */
  public int settingsBytes() {
    return settingsBytes;
  }

  /** Returns how many bytes the settings of one volume add to that. */
  public static int settingsBytes(VolumeSettings settings) {
    return settings.equals(VolumeSettings.DEFAULT) ? 0 : settings.encodedBytes();
  }

  /** A group has existed: its number is not used again. */
  public void noteGroup(int group) {
    nextGroup = Math.max(nextGroup, group + 1);
  }

  /** Encodes the whole state, for {@link #restore}. */
  public byte[] encode() {
    List<byte[]> commands = new ArrayList<>();
    int bytes = 2 * Integer.BYTES;
    for (Entry entry : entries.values()) {
      byte[] create = encodeCreate(forgetsSettings ? entry.with(VolumeSettings.DEFAULT) : entry);
      commands.add(create);
      bytes += Integer.BYTES + create.length;
    }
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(nextGroup).putInt(commands.size());
    commands.forEach(create -> buffer.putInt(create.length).put(create));
    return buffer.array();
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
        Applied _ = apply(create);
      }
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException("the catalogue in the checkpoint is cut short", e);
    }
  }

  /**
   * Becomes what another one was that has encoded it.
   *
   * @throws IllegalArgumentException when the bytes are none; this is not what it was any more then
   */
  public void replaceBy(byte[] bytes) {
    entries.clear();
    settingsBytes = 0;
    nextGroup = GROUP + 1;
    restore(bytes);
  }

  /** Returns a group number above all that were used. */
  public int nextGroup() {
    return nextGroup;
  }

  /** Encodes the creation of a volume with its settings. */
  public static byte[] encodeCreate(Entry entry) {
    byte[] name = entry.name.getBytes(StandardCharsets.UTF_8);
    boolean hasMembers = !entry.members.isEmpty();
    boolean isPlain = !hasMembers && entry.settings.equals(VolumeSettings.DEFAULT);
    byte[] settings = isPlain ? new byte[0] : entry.settings.encode();
    int memberBytes = hasMembers ? 1 + Integer.BYTES * entry.members.size() : 0;
    ByteBuffer buffer =
        ByteBuffer.allocate(CREATE_FIXED_BYTES + name.length + memberBytes + settings.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    byte withSettings = hasMembers ? CREATE_WITH_MEMBERS : CREATE_WITH_SETTINGS;
    buffer.put(isPlain ? CREATE : withSettings);
    buffer.putInt(entry.group).putInt(entry.log).putLong(entry.sizeBytes);
    buffer.put((byte) (entry.flushPolicy == FlushPolicy.ALWAYS ? 1 : 0));
    buffer.putShort((short) name.length).put(name);
    if (hasMembers) {
      buffer.put((byte) entry.members.size());
      entry.members.forEach(buffer::putInt);
    }
    buffer.put(settings);
    return buffer.array();
  }

  /** Encodes the deletion of a volume. */
  public static byte[] encodeDelete(int group) {
    return ByteBuffer.allocate(5).order(ByteOrder.LITTLE_ENDIAN).put(DELETE).putInt(group).array();
  }

  /** Encodes new settings of a volume: all of them, so that the newest command says all. */
  public static byte[] encodeSet(int group, VolumeSettings settings) {
    byte[] encoded = settings.encode();
    return ByteBuffer.allocate(5 + encoded.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(SET)
        .putInt(group)
        .put(encoded)
        .array();
  }

  /**
   * Applies a command.
   *
   * @return the entry that was created, deleted or set, and what became of it; null when nothing
   *     did: a deleted one, or one to be set, was not there, or one of the name of a created one
   *     was
   * @throws IllegalArgumentException when the bytes are no command
   */
  public Applied apply(byte[] command) {
    ByteBuffer buffer = ByteBuffer.wrap(command).order(ByteOrder.LITTLE_ENDIAN);
    try {
      byte type = buffer.get();
      return switch (type) {
        case CREATE -> created(put(decodeCreate(buffer)));
        case CREATE_WITH_SETTINGS -> {
          Entry entry = decodeCreate(buffer);
          yield created(put(entry.with(VolumeSettings.decode(buffer))));
        }
        case CREATE_WITH_MEMBERS -> {
          Entry entry = decodeMembers(decodeCreate(buffer), buffer);
          boolean isFree = find(entry.name) == null;
          nextGroup = Math.max(nextGroup, entry.group + 1);
          yield isFree ? created(put(entry)) : null;
        }
        case DELETE -> {
          Entry entry = remove(buffer.getInt());
          yield entry == null ? null : new Applied(Change.DELETED, entry);
        }
        case SET -> {
          Entry entry = entries.get(buffer.getInt());
          VolumeSettings settings = VolumeSettings.decode(buffer);
          yield entry == null ? null : new Applied(Change.SET, put(entry.with(settings)));
        }
        default -> throw new IllegalArgumentException("unknown catalogue command " + type);
      };
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException(
          "catalogue command of " + command.length + " bytes is cut short", e);
    }
  }

  private static Applied created(Entry entry) {
    return new Applied(Change.CREATED, entry);
  }

  private static Entry decodeMembers(Entry plain, ByteBuffer buffer) {
    List<Integer> members = new ArrayList<>();
    for (int i = buffer.get(); i > 0; i--) {
      members.add(buffer.getInt());
    }
    return new Entry(
        plain.group,
        plain.log,
        plain.name,
        plain.sizeBytes,
        plain.flushPolicy,
        VolumeSettings.decode(buffer),
        members);
  }

  private Entry put(Entry entry) {
    Entry _ = remove(entry.group);
    entries.put(entry.group, entry);
    nextGroup = Math.max(nextGroup, entry.group + 1);
    settingsBytes += settingsBytes(entry.settings);
    return entry;
  }

  private Entry remove(int group) {
    Entry removed = entries.remove(group);
    settingsBytes -= removed == null ? 0 : settingsBytes(removed.settings);
    return removed;
  }

  private static Entry decodeCreate(ByteBuffer buffer) {
    int group = buffer.getInt();
    int log = buffer.getInt();
    long sizeBytes = buffer.getLong();
    FlushPolicy policy = buffer.get() == 1 ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
    byte[] name = new byte[buffer.getShort()];
    buffer.get(name);
    return new Entry(
        group,
        log,
        new String(name, StandardCharsets.UTF_8),
        sizeBytes,
        policy,
        VolumeSettings.DEFAULT,
        List.of());
  }
}
