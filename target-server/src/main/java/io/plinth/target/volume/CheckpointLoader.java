package io.plinth.target.volume;

import io.plinth.engine.api.LogStorage;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.Superblock.CheckpointPlace;
import io.plinth.log.recovery.RecoveryException;
import java.util.BitSet;
import java.util.Locale;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Reads a checkpoint at start: the description, the page table, the inner pages of all trees and
 * then the leaves; counts what refers to what. Every block is checked against its checksum, and a
 * damaged one is refused by name. Leaves beyond the memory limit are dropped again at once.
 */
final class CheckpointLoader {
  private static final int BLOCK = Volume.BLOCK_BYTES;

  private final String name;
  private final VolumeStore store;
  private final LogStorage storage;
  private final int blocksPerSegment;
  private final CRC32C crc = new CRC32C();

  /** Leaf pages of the trees: they are read when it is known which of all pages they are. */
  private final BitSet leaves = new BitSet();

  /**
   * Creates a loader.
   *
   * @param store may be null when only {@link #readRoot} is asked for
   */
  CheckpointLoader(String name, VolumeStore store, LogStorage storage) {
    this.name = name;
    this.store = store;
    this.storage = storage;
    this.blocksPerSegment = storage.segmentBytes() / BLOCK;
  }

  byte[] load(CheckpointPlace place, Checkpointer checkpointer) throws RecoveryException {
    CheckpointRoot root = readRoot(place);
    int blocks = blocks(place);
    for (int i = 0; i < blocks; i++) {
      store.space().references().retainMeta(place.place() + i);
    }
    try {
      loadPages(root);
      loadVolumes(root);
      loadLeaves();
    } catch (IndexException e) {
      throw unusable(place, e);
    }
    store.space().pages().finishRestore();
    checkpointer.loaded(root, place.place(), blocks);
    return root.extension();
  }

  /** Reads the description alone. */
  CheckpointRoot readRoot(CheckpointPlace place) throws RecoveryException {
    try {
      return CheckpointRoot.decode(readRoot(place, blocks(place)));
    } catch (IndexException e) {
      throw unusable(place, e);
    }
  }

  private static int blocks(CheckpointPlace place) {
    return (place.bytes() + BLOCK - 1) / BLOCK;
  }

  private RecoveryException unusable(CheckpointPlace place, IndexException cause) {
    return new RecoveryException(
        String.format(
            Locale.ROOT,
            "%s: the checkpoint at %s can't be used: %s",
            name,
            describe(place.place()),
            cause.getMessage()));
  }

  private String describe(long place) {
    return "segment file "
        + place / blocksPerSegment
        + " offset "
        + place % blocksPerSegment * BLOCK;
  }

  private byte[] readRoot(CheckpointPlace place, int blocks) throws IndexException {
    NativeMemory memory = NativeMemory.reserve((long) blocks * BLOCK);
    try {
      read(place.place(), memory.address(), blocks);
      byte[] bytes = new byte[place.bytes()];
      new UnsafeBuffer(memory.address(), bytes.length).getBytes(0, bytes);
      if (CheckpointRoot.checksum(bytes) != place.crc()) {
        throw new IndexException("it does not match its checksum");
      }
      return bytes;
    } finally {
      memory.close();
    }
  }

  private void read(long place, long address, int blocks) throws IndexException {
    int slot = (int) (place / blocksPerSegment);
    long position = place % blocksPerSegment * BLOCK;
    boolean exists = place > 0 && slot < storage.maxSegments() && storage.hasSlot(slot);
    if (!exists || storage.readNow(slot, address, blocks * BLOCK, position) < blocks * BLOCK) {
      throw new IndexException(describe(place) + " can't be read");
    }
  }

  private void loadPages(CheckpointRoot root) throws IndexException {
    IndexPages pages = store.space().pages();
    pages.restoreLimit(root.pageLimit());
    NativeMemory block = NativeMemory.reserve(BLOCK);
    try {
      for (int number = 0; number < root.tablePlaces().length; number++) {
        long place = root.tablePlaces()[number];
        if (place == 0) {
          continue;
        }
        read(place, block.address(), 1);
        verify(block, block.address(), root.tableChecksums()[number], place, "the page table");
        store.space().references().retainMeta(place);
        loadPages(pages, block.address(), number * PageTable.ENTRIES);
      }
    } finally {
      block.close();
    }
  }

  private void loadPages(IndexPages pages, long tableAddress, int firstPage) throws IndexException {
    for (int i = 0; i < PageTable.ENTRIES; i++) {
      long place = PageTable.entryPlace(tableAddress, i);
      if (place == 0) {
        continue;
      }
      int page = firstPage + i;
      if (page >= pages.pageLimit()) {
        throw new IndexException("the page table names page " + page + ", which is too high");
      }
      pages.restore(page, place, PageTable.entryChecksum(tableAddress, i));
      store.space().references().retainMeta(place);
    }
  }

  /** Reads a page from where it was written. */
  void readPage(int page) throws IndexException {
    IndexPages pages = store.space().pages();
    long place = pages.place(page);
    long address = pages.address(page);
    read(place, address, 1);
    verify(pages.region(page), address, pages.checksum(page), place, "index page " + page);
    if (pages.isAbsent(page)) {
      pages.restored(page);
    }
  }

  private void loadLeaves() throws IndexException {
    for (int page = leaves.nextSetBit(0); page >= 0; page = leaves.nextSetBit(page + 1)) {
      readPage(page);
      store.space().countLeaf(page);
      store.coldLeaves().limitAtStart(page);
    }
  }

  private void verify(NativeMemory region, long address, int checksum, long place, String what)
      throws IndexException {
    if (region.crc32c(crc, address, BLOCK) != checksum) {
      throw new IndexException(what + " in " + describe(place) + " does not match its checksum");
    }
  }

  private void loadVolumes(CheckpointRoot root) throws IndexException {
    for (int[] pair : root.families()) {
      store.families().put(pair[0], pair[1]);
    }
    store.noteGroup(root.highestGroup());
    root.groups().forEach(store.recoveredGroups()::expect);
    store.groups().loaded(root.cutSequence());
    for (CheckpointRoot.VolumeState state : root.volumes()) {
      LogVolume volume =
          store.restore(
              state.group(),
              state.name(),
              state.sizeBytes(),
              state.flushPolicy(),
              tree(state.family(), state.tree()));
      volume.beginPoint(state.begin());
      for (CheckpointRoot.SnapshotState snapshot : state.snapshots()) {
        volume.restoreSnapshot(
            snapshot.name(),
            snapshot.sizeBytes(),
            snapshot.createdMs(),
            tree(state.family(), snapshot.tree()),
            snapshot.point());
      }
    }
  }

  private BlockIndex tree(int family, BlockIndex.State state) throws IndexException {
    if (state.root() != 0) {
      store.space().count(state.root(), state.levels(), this::readPage, leaves);
    }
    return new BlockIndex(store.space(), family, state);
  }
}
