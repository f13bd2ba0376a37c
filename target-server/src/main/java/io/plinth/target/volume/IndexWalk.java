package io.plinth.target.volume;

import io.plinth.log.recovery.RecoveryException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.agrona.collections.MutableLong;

/**
 * Looks at every page of a store's trees, for tools that check it. Counts for itself what the store
 * counts as it goes: what is shared, what is mapped, what is alive. On the core, or where none
 * runs.
 */
public final class IndexWalk {
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;
  private static final long NOT_SEEN = -1;

  private final String name;
  private final VolumeStore store;
  private final IndexSpace space;
  private final IndexPages pages;
  private final List<Tree> trees = new ArrayList<>();
  private final List<BlockIndex> indexes = new ArrayList<>();
  private final long[] mappedBelow;
  private final int[] parents;
  private long leaves;
  private long inner;
  private long shared;
  private long dataEntries;
  private long unique;
  private long zeroEntries;

  /** Sees what a log has to keep. */
  public interface Visitor {
    /**
     * An entry of a leaf page; the same place comes again for each other page that refers to it.
     *
     * @throws RecoveryException when it contradicts what came before
     */
    void onData(long place, int checksum) throws RecoveryException;

    /** A page of the checkpoint, or a block of its page table. */
    void onCheckpoint(long place, int checksum) throws RecoveryException;
  }

  /**
   * A volume or a snapshot.
   *
   * @param name {@code volume} or {@code volume@snapshot}
   * @param group of the volume
   * @param family the group of the volume that it descends from
   * @param uniqueBytes what only this tree refers to; zero before the walk
   * @param levels of inner pages
   */
  public record Tree(
      String name,
      int group,
      int family,
      long sizeBytes,
      long mappedBytes,
      long uniqueBytes,
      int levels) {}

  /**
   * What the pages are like.
   *
   * @param leaves leaf pages
   * @param inner inner pages
   * @param shared pages with more than one parent
   * @param dataEntries entries of leaf pages that refer to data
   * @param zeroEntries entries of leaf pages that claim space and read as zeroes
   */
  public record Pages(long leaves, long inner, long shared, long dataEntries, long zeroEntries) {}

  /**
   * Begins a walk.
   *
   * @param name what to call the log in messages
   */
  public IndexWalk(String name, VolumeStore store) {
    this.name = name;
    this.store = store;
    this.space = store.space();
    this.pages = space.pages();
    // Trees that were given up would count, and nobody reaches them.
    store.coldLeaves().readNow(true);
    while (space.isFreeing()) {
      int _ = space.freeSome(Integer.MAX_VALUE);
    }
    store.coldLeaves().readNow(false);
    mappedBelow = new long[pages.pageLimit()];
    parents = new int[pages.pageLimit()];
    for (LogVolume volume : store.volumes()) {
      add(volume, volume.group().id());
      volume.snapshots().forEach(snapshot -> add(snapshot, volume.group().id()));
    }
  }

  private void add(IndexedVolume volume, int group) {
    BlockIndex index = volume.index();
    indexes.add(index);
    trees.add(
        new Tree(
            volume.name(),
            group,
            index.family(),
            volume.sizeBytes(),
            volume.mappedBytes(),
            0,
            index.state().levels()));
  }

  /** Returns the volumes in the order of their groups, each followed by its snapshots. */
  public List<Tree> trees() {
    return List.copyOf(trees);
  }

  private static Tree withUnique(Tree tree, long blocks) {
    return new Tree(
        tree.name,
        tree.group,
        tree.family,
        tree.sizeBytes,
        tree.mappedBytes,
        blocks * Volume.BLOCK_BYTES,
        tree.levels);
  }

  /** Returns what the walk found the pages to be like. */
  public Pages pages() {
    return new Pages(leaves, inner, shared, dataEntries, zeroEntries);
  }

  /** Returns how many blocks of data the store takes for alive in a segment. */
  public int liveData(int slot) {
    return space.references().liveData(slot);
  }

  /** Returns how many blocks of the checkpoint the store takes for alive in a segment. */
  public int liveMeta(int slot) {
    return space.references().liveMeta(slot);
  }

  /**
   * Walks.
   *
   * @throws RecoveryException when something contradicts itself; one line that says what
   */
  public void run(Visitor visitor) throws RecoveryException {
    runTrees(visitor);
    checkPages(visitor);
  }

  /**
   * Walks the volumes and snapshots only. Resyncs hold other trees for a while, which share pages
   * with these: then the store counts more than the walk finds.
   *
   * @throws RecoveryException when something contradicts itself; one line that says what
   */
  public void runTrees(Visitor visitor) throws RecoveryException {
    store.coldLeaves().readNow(true);
    try {
      walk(visitor);
    } catch (UnreadableLeafException e) {
      throw broken(e.getMessage());
    } finally {
      store.coldLeaves().readNow(false);
    }
  }

  private void walk(Visitor visitor) throws RecoveryException {
    Arrays.fill(mappedBelow, NOT_SEEN);
    Arrays.fill(parents, 0);
    for (int i = 0; i < trees.size(); i++) {
      BlockIndex.State tree = indexes.get(i).state();
      int root = tree.root();
      int family = indexes.get(i).family();
      unique = 0;
      long mapped = root == 0 ? 0 : visit(root, tree.levels(), 0, family, true, visitor);
      trees.set(i, withUnique(trees.get(i), unique));
      if (mapped != tree.mapped()) {
        throw broken(
            String.format(
                Locale.ROOT,
                "%s has %d mapped blocks, its index says %d",
                trees.get(i).name(),
                mapped,
                tree.mapped()));
      }
    }
  }

  private void checkPages(Visitor visitor) throws RecoveryException {
    for (int page = 1; page < parents.length; page++) {
      if (pages.refs(page) != parents[page]) {
        throw broken(
            String.format(
                Locale.ROOT,
                "index page %d is referred to %d times, %d are counted",
                page,
                parents[page],
                pages.refs(page)));
      }
      shared += parents[page] > 1 ? 1 : 0;
      if (pages.place(page) != 0) {
        visitor.onCheckpoint(pages.place(page), pages.checksum(page));
      }
    }
    PageTable table = store.checkpointer().table();
    for (int block = 0; block < table.blocks(); block++) {
      if (table.place(block) != 0) {
        visitor.onCheckpoint(table.place(block), table.checksum(block));
      }
    }
  }

  /**
   * Looks at a page and what is below it.
   *
   * @param own whether nobody shares the pages above
   */
  private long visit(int page, int level, long firstLeaf, int family, boolean own, Visitor visitor)
      throws RecoveryException {
    if (page <= 0 || page >= parents.length) {
      throw broken(String.format(Locale.ROOT, "there is no index page %d", page));
    }
    parents[page]++;
    if (mappedBelow[page] != NOT_SEEN) {
      return mappedBelow[page];
    }
    long mapped = 0;
    boolean isOwn = own && pages.refs(page) == 1;
    if (level == 0) {
      mapped = visitLeaf(page, firstLeaf, family, isOwn, visitor);
      leaves++;
    } else {
      inner++;
      for (int i = 0; i < IndexSpace.INNER_ENTRIES; i++) {
        int child = space.child(page, i);
        if (child != 0) {
          long leaf = firstLeaf + ((long) i << (IndexSpace.INNER_SHIFT * (level - 1)));
          mapped += visit(child, level - 1, leaf, family, isOwn, visitor);
        }
      }
    }
    mappedBelow[page] = mapped;
    return mapped;
  }

  private long visitLeaf(int page, long leaf, int family, boolean own, Visitor visitor)
      throws RecoveryException {
    long address = space.leafAddress(page);
    if (IndexSpace.leaf(address) != leaf || IndexSpace.family(address) != family) {
      throw broken(
          String.format(
              Locale.ROOT,
              "index page %d is for leaf %d of family %d and found at leaf %d of family %d",
              page,
              IndexSpace.leaf(address),
              IndexSpace.family(address),
              leaf,
              family));
    }
    long mapped = 0;
    for (int i = 0; i < LEAF_BLOCKS; i++) {
      long place = IndexSpace.place(address, i);
      if (IndexSpace.isData(place)) {
        if (!space.references().isPlace(place)) {
          throw broken(
              String.format(
                  Locale.ROOT,
                  "index page %d names place %d, which is outside of the log",
                  page,
                  place));
        }
        visitor.onData(place, IndexSpace.checksum(address, i));
        dataEntries++;
        mapped++;
        unique += own && space.references().count(place) == 1 ? 1 : 0;
      } else if (place == IndexSpace.ALLOCATED_ZERO) {
        zeroEntries++;
        mapped++;
      }
    }
    if (mapped != IndexSpace.mappedCount(address)) {
      throw broken(
          String.format(
              Locale.ROOT,
              "index page %d has %d mapped blocks and says %d",
              page,
              mapped,
              IndexSpace.mappedCount(address)));
    }
    return mapped;
  }

  /** Returns what refers to a place, for messages to people. */
  public String describe(long place) {
    for (int page = 1; page < pages.pageLimit(); page++) {
      if (pages.place(page) == place) {
        return "index page " + page;
      }
    }
    PageTable table = store.checkpointer().table();
    for (int block = 0; block < table.blocks(); block++) {
      if (table.place(block) == place) {
        return "block " + block + " of the page table";
      }
    }
    List<String> owners = new ArrayList<>();
    MutableLong block = new MutableLong();
    for (int i = 0; i < trees.size(); i++) {
      if (find(indexes.get(i), place, block)) {
        owners.add(trees.get(i).name() + " block " + block.get());
      }
    }
    return owners.isEmpty() ? "nothing" : String.join(", ", owners);
  }

  private static boolean find(BlockIndex index, long place, MutableLong found) {
    long block = 0;
    while (block < index.blocks()) {
      if (!index.hasLeaf(block)) {
        long next = index.nextPresentLeaf(block);
        block = next > block ? next : block + BlockIndex.blocksLeftInLeaf(block);
      } else if (index.place(block) == place) {
        found.set(block);
        return true;
      } else {
        block++;
      }
    }
    return false;
  }

  private RecoveryException broken(String what) {
    return new RecoveryException(name + ": " + what);
  }
}
