package io.plinth.target.volume;

import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.Replica;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * The description of a checkpoint: where the page table is, the volumes with their trees, and what
 * the node keeps with it. Little-endian:
 *
 * <pre>
 *  u64 "PLNCHKPT", u32 version, u32 page limit, u32 table blocks, {u64 place, u32 CRC32C} each,
 *  u64 sequence of the first batch after the cut, u32 highest group, u32 families, {u32 group, u32 family} each,
 *  u32 groups, each as {@link GroupState#encode} has it
 *  u32 volumes, each:
 *    u32 group, u8 flushPolicy, u16 length and name, u64 sizeBytes, u32 family, tree, point,
 *    u32 snapshots, each: u16 length and name, u64 sizeBytes, u64 epochMs, tree, point
 *  u32 length and bytes of the node's part
 *
 *  tree: u32 root page, u32 levels, u64 blocks, u64 mapped blocks
 *  point: u64 segment, u64 batch, u64 index, u64 epochMs (see {@link LogPoint})
 * </pre>
 */
final class CheckpointRoot {
  private static final long MAGIC = 0x54504b48434e4c50L;
  private static final int VERSION = 4;

  /** What a volume with its group, or a snapshot, takes at most, if it has less than 10 members. */
  static final int MAX_TREE_BYTES = 256;

  private final int pageLimit;
  private final long[] tablePlaces;
  private final int[] tableChecksums;
  private final long cutSequence;
  private final int highestGroup;
  private final List<int[]> families;
  private final List<GroupState> groups;
  private final List<VolumeState> volumes;
  private final byte[] extension;

  private CheckpointRoot(
      int pageLimit,
      long[] tablePlaces,
      int[] tableChecksums,
      long cutSequence,
      int highestGroup,
      List<int[]> families,
      List<GroupState> groups,
      List<VolumeState> volumes,
      byte[] extension) {
    this.pageLimit = pageLimit;
    this.tablePlaces = tablePlaces;
    this.tableChecksums = tableChecksums;
    this.cutSequence = cutSequence;
    this.highestGroup = highestGroup;
    this.families = families;
    this.groups = groups;
    this.volumes = volumes;
    this.extension = extension;
  }

  /** Returns the number above all pages. */
  int pageLimit() {
    return pageLimit;
  }

  /** Returns where the blocks of the page table are. */
  long[] tablePlaces() {
    return tablePlaces;
  }

  /** Returns the checksums of the blocks of the page table. */
  int[] tableChecksums() {
    return tableChecksums;
  }

  /** Returns the sequence of the first batch whose effect is not in the checkpoint. */
  long cutSequence() {
    return cutSequence;
  }

  int highestGroup() {
    return highestGroup;
  }

  /** Returns pairs of a group and its family. */
  List<int[]> families() {
    return families;
  }

  /** Returns the groups that have a replica in this log, in no particular order. */
  List<GroupState> groups() {
    return groups;
  }

  List<VolumeState> volumes() {
    return volumes;
  }

  /** Returns the node's part. */
  byte[] extension() {
    return extension;
  }

  /** A volume at the cut. */
  record VolumeState(
      int group,
      FlushPolicy flushPolicy,
      String name,
      long sizeBytes,
      int family,
      BlockIndex.State tree,
      LogPoint begin,
      List<SnapshotState> snapshots) {}

  /** A snapshot at the cut. */
  record SnapshotState(
      String name, long sizeBytes, long createdMs, BlockIndex.State tree, LogPoint point) {}

  /**
   * Returns the state of a store as it is now; the table is not known yet.
   *
   * @param cutSequence the sequence of the first batch after it
   */
  static CheckpointRoot of(VolumeStore store, byte[] extension, long cutSequence) {
    List<int[]> families = new ArrayList<>();
    store.families().forEachInt((group, family) -> families.add(new int[] {group, family}));
    List<VolumeState> volumes = new ArrayList<>();
    for (LogVolume volume : store.volumes()) {
      List<SnapshotState> snapshots = new ArrayList<>();
      for (SnapshotVolume snapshot : volume.snapshots()) {
        snapshots.add(
            new SnapshotState(
                snapshot.snapshotName(),
                snapshot.sizeBytes(),
                snapshot.createdMs(),
                snapshot.index().state(),
                snapshot.point()));
      }
      volumes.add(
          new VolumeState(
              volume.group().id(),
              volume.flushPolicy(),
              volume.name(),
              volume.sizeBytes(),
              volume.index().family(),
              volume.index().state(),
              volume.beginPoint(),
              snapshots));
    }
    List<GroupState> groups = new ArrayList<>();
    for (Replica replica : store.replicas()) {
      GroupState state = replica.kept().state();
      groups.add(
          store.isPlanted(PlantedBug.CHECKPOINT_FORGETS_BASE)
              ? GroupState.first(state.group(), state.membership())
              : state);
    }
    return new CheckpointRoot(
        0,
        new long[0],
        new int[0],
        cutSequence,
        store.highestGroup(),
        families,
        groups,
        volumes,
        extension);
  }

  /** Encodes this state with the table that belongs to it. */
  byte[] encode(PageTable table, int limit) {
    ByteBuffer out = ByteBuffer.allocate(encodedBytes(table)).order(ByteOrder.LITTLE_ENDIAN);
    out.putLong(MAGIC).putInt(VERSION).putInt(limit).putInt(table.blocks());
    for (int i = 0; i < table.blocks(); i++) {
      out.putLong(table.place(i)).putInt(table.checksum(i));
    }
    out.putLong(cutSequence).putInt(highestGroup).putInt(families.size());
    families.forEach(pair -> out.putInt(pair[0]).putInt(pair[1]));
    out.putInt(groups.size());
    groups.forEach(group -> group.encode(out));
    out.putInt(volumes.size());
    for (VolumeState volume : volumes) {
      out.putInt(volume.group);
      out.put((byte) (volume.flushPolicy == FlushPolicy.ALWAYS ? 1 : 0));
      putName(out, volume.name);
      out.putLong(volume.sizeBytes).putInt(volume.family);
      putTree(out, volume.tree);
      putPoint(out, volume.begin);
      out.putInt(volume.snapshots.size());
      for (SnapshotState snapshot : volume.snapshots) {
        putName(out, snapshot.name);
        out.putLong(snapshot.sizeBytes).putLong(snapshot.createdMs);
        putTree(out, snapshot.tree);
        putPoint(out, snapshot.point);
      }
    }
    out.putInt(extension.length).put(extension);
    byte[] bytes = new byte[out.position()];
    out.get(0, bytes);
    return bytes;
  }

  /** An upper bound: names have at most 63 characters, of which each is one byte. */
  private int encodedBytes(PageTable table) {
    int bytes = 64 + 12 * table.blocks() + 8 * families.size() + extension.length;
    for (GroupState group : groups) {
      bytes += group.encodedBytes();
    }
    for (VolumeState volume : volumes) {
      bytes += MAX_TREE_BYTES * (1 + volume.snapshots.size());
    }
    return bytes;
  }

  /**
   * Decodes a description.
   *
   * @throws IndexException when it is none
   */
  static CheckpointRoot decode(byte[] bytes) throws IndexException {
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try {
      if (in.getLong() != MAGIC || in.getInt() != VERSION) {
        throw new IndexException("it is not one of this version");
      }
      int limit = in.getInt();
      int blocks = count(in, 12);
      long[] places = new long[blocks];
      int[] checksums = new int[blocks];
      for (int i = 0; i < blocks; i++) {
        places[i] = in.getLong();
        checksums[i] = in.getInt();
      }
      long cut = in.getLong();
      int highest = in.getInt();
      List<int[]> families = new ArrayList<>();
      for (int i = count(in, 8); i > 0; i--) {
        families.add(new int[] {in.getInt(), in.getInt()});
      }
      List<GroupState> groups = new ArrayList<>();
      for (int i = count(in, GroupState.LEAST_BYTES); i > 0; i--) {
        groups.add(group(in));
      }
      List<VolumeState> volumes = new ArrayList<>();
      for (int i = count(in, 64); i > 0; i--) {
        volumes.add(volume(in));
      }
      byte[] extension = new byte[count(in, 1)];
      in.get(extension);
      return new CheckpointRoot(
          limit, places, checksums, cut, highest, families, groups, volumes, extension);
    } catch (BufferUnderflowException e) {
      throw new IndexException("it is cut short");
    }
  }

  private static VolumeState volume(ByteBuffer in) {
    int group = in.getInt();
    FlushPolicy policy = in.get() == 1 ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
    String name = name(in);
    long size = in.getLong();
    int family = in.getInt();
    BlockIndex.State tree = tree(in);
    LogPoint begin = point(in);
    List<SnapshotState> snapshots = new ArrayList<>();
    for (int i = count(in, 40); i > 0; i--) {
      snapshots.add(new SnapshotState(name(in), in.getLong(), in.getLong(), tree(in), point(in)));
    }
    return new VolumeState(group, policy, name, size, family, tree, begin, snapshots);
  }

  private static GroupState group(ByteBuffer in) throws IndexException {
    try {
      return GroupState.decode(in);
    } catch (IllegalArgumentException e) {
      throw new IndexException(e.getMessage());
    }
  }

  private static int count(ByteBuffer in, int entryBytes) {
    int count = in.getInt();
    if (count < 0 || (long) count * entryBytes > in.remaining()) {
      throw new BufferUnderflowException();
    }
    return count;
  }

  private static void putName(ByteBuffer out, String name) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    out.putShort((short) bytes.length).put(bytes);
  }

  private static String name(ByteBuffer in) {
    byte[] bytes = new byte[in.getShort() & 0xFFFF];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static void putTree(ByteBuffer out, BlockIndex.State tree) {
    out.putInt(tree.root()).putInt(tree.levels()).putLong(tree.blocks()).putLong(tree.mapped());
  }

  private static BlockIndex.State tree(ByteBuffer in) {
    return new BlockIndex.State(in.getInt(), in.getInt(), in.getLong(), in.getLong());
  }

  private static void putPoint(ByteBuffer out, LogPoint point) {
    out.putLong(point.segment()).putLong(point.batch());
    out.putLong(point.index()).putLong(point.epochMs());
  }

  private static LogPoint point(ByteBuffer in) {
    return new LogPoint(in.getLong(), in.getLong(), in.getLong(), in.getLong());
  }

  static int checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }
}
