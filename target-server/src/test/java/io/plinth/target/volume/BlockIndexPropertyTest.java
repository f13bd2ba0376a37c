package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.replication.GroupMembers;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

/** Trees that share pages against slow and obvious maps, one for each tree. */
class BlockIndexPropertyTest {
  private static final int SEGMENTS = 64;
  private static final int SEGMENT_BLOCKS = 1024;
  private static final long PLACES = (long) SEGMENTS * SEGMENT_BLOCKS;
  private static final int FAMILY = 7;

  private static final int PAGE_BYTES = IndexPages.PAGE_BYTES;

  private final VolumeStore store =
      new VolumeStore(
          new SimCore(0, 0),
          SEGMENT_BLOCKS * Volume.BLOCK_BYTES,
          SEGMENTS,
          GroupMembers.alone(),
          Set.of());
  private final IndexSpace space = store.space();
  private boolean drops;
  private int reread;
  private final List<BlockIndex> trees = new ArrayList<>();
  private final List<TreeMap<Long, Long>> models = new ArrayList<>();

  /** Bytes of each page at the cut of the checkpoint that is being written. */
  private final Map<Integer, byte[]> atCut = new HashMap<>();

  private final Map<Integer, byte[]> written = new HashMap<>();

  /** Checksums of places that blocks were moved to. */
  private final Map<Long, Integer> checksums = new HashMap<>();

  private boolean checkpointing;

  @Test
  void treesOfAFamilyBehaveLikeMapsThatShareNothing() {
    int _ = runSeeds(false);
  }

  @Test
  void soDoTreesWhosePagesAreDroppedAtAnyTime() {
    assertThat(runSeeds(true)).as("pages that were read again").isGreaterThan(1000);
  }

  @Test
  void aDroppedPageThatNobodyHasBroughtIsNotUsed() {
    store.limitIndexMemory(PAGE_BYTES);
    BlockIndex tree = new BlockIndex(space, FAMILY, 1000);
    tree.put(500, 7, 7, 1);
    int page = tree.leafPage(500);
    assertThat(space.pages().isDroppable(page, false)).as("before it is written").isFalse();
    writeAll();
    assertThat(space.pages().isDroppable(page, false)).isTrue();
    space.pages().drop(page);
    String message = "index page " + page + " is used and is not in memory";
    assertThatThrownBy(() -> tree.place(500)).hasMessage(message);
    assertThatThrownBy(() -> tree.put(501, 8, 8, 2)).hasMessage(message);
    assertThatThrownBy(() -> space.relocate(FAMILY, 500, 7, 9)).hasMessage(message);
    assertThatThrownBy(() -> space.findLeaf(FAMILY, 500, 7)).hasMessage(message);
    assertThatThrownBy(() -> space.pages().touch(page)).hasMessage(message);
    assertThat(tree.anyMapped(448, 552)).as("known without it").isTrue();
    assertThat(tree.mappedBlocks()).isEqualTo(1);
    store.close();
  }

  @Test
  void aRingThatIsHeldStaysInMemoryUntilItIsReleased() {
    store.limitIndexMemory(PAGE_BYTES);
    BlockIndex tree = new BlockIndex(space, FAMILY, 1000);
    tree.put(500, 7, 7, 1);
    BlockIndex older = tree.snapshot();
    tree.put(501, 8, 8, 2);
    writeAll();
    int[] ring = {tree.leafPage(500), older.leafPage(500)};
    assertThat(ring[0]).isNotEqualTo(ring[1]);
    HeldLeaves held = new HeldLeaves(space.pages(), IndexPages.OF_CLEANER);
    assertThat(space.bringRing(FAMILY, 500, held)).isEqualTo(Status.OK);
    for (int page : ring) {
      assertThat(space.pages().isDroppable(page, false)).isFalse();
    }
    held.release();
    for (int page : ring) {
      assertThat(space.pages().isDroppable(page, false)).isTrue();
    }
    store.close();
  }

  /** Returns how many pages were read again. */
  private static int runSeeds(boolean drops) {
    int reread = 0;
    for (long seed = 1; seed <= 30; seed++) {
      BlockIndexPropertyTest run = new BlockIndexPropertyTest();
      try {
        run.drops = drops;
        run.run(new SimRandom(seed));
      } catch (AssertionError | RuntimeException e) {
        throw new AssertionError("seed " + seed, e);
      }
      reread += run.reread;
    }
    return reread;
  }

  private void run(SimRandom random) {
    if (drops) {
      store.limitIndexMemory(PAGE_BYTES);
      store.coldLeaves().begin(this::readAgain);
    }
    long blocks =
        switch (random.nextInt(4)) {
          case 0 -> 1 + random.nextInt(448);
          case 1 -> 448 + random.nextInt(5000);
          case 2 -> 1L << 20;
          default -> 1L << 34;
        };
    trees.add(new BlockIndex(space, FAMILY, blocks));
    models.add(new TreeMap<>());
    for (int step = 0; step < 2500; step++) {
      change(random, random.nextInt(trees.size()), step);
      drop(random);
      if (random.oneIn(5)) {
        checkpoint(random);
      }
      if (random.oneIn(3)) {
        int _ = space.freeSome(3);
      }
    }
    verify();
    for (BlockIndex tree : trees) {
      tree.clear();
    }
    while (space.isFreeing()) {
      int _ = space.freeSome(100);
    }
    finishCheckpoint(random);
    assertThat(space.references().liveBlocks()).as("all references came back").isZero();
    assertThat(space.pages().usedBytes()).as("all pages came back").isZero();
    assertThat(space.pages().absentPages()).isZero();
    store.close();
  }

  private void drop(SimRandom random) {
    IndexPages pages = space.pages();
    for (int i = drops ? 3 : 0; i > 0 && pages.pageLimit() > 1; i--) {
      int page = 1 + random.nextInt(pages.pageLimit() - 1);
      if (pages.isDroppable(page, false)) {
        pages.drop(page);
      }
    }
  }

  private void readAgain(int page) {
    new UnsafeBuffer(space.pages().address(page), PAGE_BYTES).putBytes(0, written.get(page));
    space.pages().restored(page);
    reread++;
  }

  /** A whole checkpoint. */
  private void writeAll() {
    space.pages().cut();
    int[] run = new int[16];
    for (int count = space.pages().pending(run); count > 0; count = space.pages().pending(run)) {
      for (int i = 0; i < count; i++) {
        long _ = space.pages().written(run[i], 1, 0);
      }
    }
  }

  private void change(SimRandom random, int number, int step) {
    BlockIndex tree = trees.get(number);
    TreeMap<Long, Long> model = models.get(number);
    long blocks = tree.blocks();
    long block = Long.remainderUnsigned(random.nextLong(), blocks);
    if (random.oneIn(3)) {
      block = Math.min(blocks - 1, Long.remainderUnsigned(random.nextLong(), 1000));
    }
    long count = Math.min(blocks - block, 1 + random.nextInt(random.oneIn(4) ? 5000 : 20));
    switch (random.nextInt(24)) {
      case 0, 1 -> {
        tree.unmap(block, count, false, step);
        model.subMap(block, block + count).clear();
      }
      case 2, 3 -> {
        count = Math.min(count, 600);
        tree.unmap(block, count, true, step);
        for (long b = block; b < block + count; b++) {
          model.put(b, IndexSpace.ALLOCATED_ZERO);
        }
      }
      case 4 -> {
        if (trees.size() < 12) {
          trees.add(tree.snapshot());
          models.add(new TreeMap<>(model));
        }
      }
      case 5 -> {
        if (trees.size() > 2) {
          tree.clear();
          trees.remove(number);
          models.remove(number);
        }
      }
      case 6 -> resize(random, tree, model, step);
      case 7 -> rollback(random, tree, model);
      case 8, 9, 10 -> relocate(random);
      default -> {
        long place = 1 + Long.remainderUnsigned(random.nextLong(), PLACES - 1);
        tree.put(block, place, checksumOf(place), step);
        model.put(block, place);
      }
    }
    long probe = Long.remainderUnsigned(random.nextLong(), tree.blocks());
    if (trees.contains(tree)) {
      assertThat(tree.place(probe)).isEqualTo(model.getOrDefault(probe, 0L));
      long end = Math.min(tree.blocks(), block + count);
      if (block < end) {
        assertThat(tree.anyMapped(block, end - block))
            .isEqualTo(!model.subMap(block, end).isEmpty());
      }
    }
  }

  private static void resize(
      SimRandom random, BlockIndex tree, NavigableMap<Long, Long> model, int step) {
    long size = 1 + Long.remainderUnsigned(random.nextLong(), 2 * tree.blocks());
    if (size < tree.blocks()) {
      tree.unmap(size, tree.blocks() - size, false, step);
      model.tailMap(size).clear();
    }
    tree.resize(size, 0);
  }

  private void rollback(SimRandom random, BlockIndex tree, Map<Long, Long> model) {
    int other = random.nextInt(trees.size());
    if (trees.get(other).equals(tree)) {
      return;
    }
    tree.replaceBy(trees.get(other));
    model.clear();
    model.putAll(models.get(other));
  }

  /** What the cleaner does: all trees follow. */
  private void relocate(SimRandom random) {
    TreeMap<Long, Long> model = models.get(random.nextInt(models.size()));
    long to = 1 + Long.remainderUnsigned(random.nextLong(), PLACES - 1);
    if (model.isEmpty() || space.references().count(to) > 0) {
      return;
    }
    long block =
        model.keySet().stream().skip(random.nextInt(model.size())).findFirst().orElseThrow();
    long from = model.get(block);
    if (from == IndexSpace.ALLOCATED_ZERO) {
      return;
    }
    checksums.put(to, checksumOf(from));
    assertThat(space.relocate(FAMILY, block, from, to)).as("pages with the entry").isPositive();
    for (TreeMap<Long, Long> each : models) {
      each.computeIfPresent(block, (key, place) -> place == from ? to : place);
    }
  }

  private int checksumOf(long place) {
    return checksums.getOrDefault(place, (int) place);
  }

  private void checkpoint(SimRandom random) {
    IndexPages pages = space.pages();
    if (!checkpointing) {
      pages.cut();
      checkpointing = true;
      atCut.clear();
      for (int page = 1; page < pages.pageLimit(); page++) {
        if (pages.refs(page) > 0) {
          atCut.put(page, pages.isAbsent(page) ? written.get(page) : bytes(pages.address(page)));
        }
      }
      written.keySet().retainAll(atCut.keySet());
      return;
    }
    int[] run = new int[1 + random.nextInt(4)];
    int count = pages.pending(run);
    for (int i = 0; i < count; i++) {
      written.put(run[i], bytes(pages.pendingAddress(run[i])));
      long _ = pages.written(run[i], 1, 0);
    }
    if (count > 0) {
      return;
    }
    for (int page = pages.nextFreed(); page != 0; page = pages.nextFreed()) {
      long _ = pages.recycle(page);
    }
    checkpointing = false;
    assertThat(written.keySet()).as("pages in the checkpoint").isEqualTo(atCut.keySet());
    atCut.forEach(
        (page, bytes) -> assertThat(written.get(page)).as("page %d", page).isEqualTo(bytes));
  }

  private void finishCheckpoint(SimRandom random) {
    while (checkpointing) {
      checkpoint(random);
    }
  }

  private static byte[] bytes(long address) {
    byte[] bytes = new byte[IndexPages.PAGE_BYTES];
    new UnsafeBuffer(address, bytes.length).getBytes(0, bytes);
    return bytes;
  }

  private void verify() {
    while (space.isFreeing()) {
      int _ = space.freeSome(100);
    }
    Map<Long, Long> references = new HashMap<>();
    Map<Integer, Boolean> seen = new HashMap<>();
    for (int i = 0; i < trees.size(); i++) {
      BlockIndex tree = trees.get(i);
      TreeMap<Long, Long> model = models.get(i);
      assertThat(tree.mappedBlocks()).isEqualTo(model.size());
      model.forEach((block, place) -> {
        assertThat(tree.place(block)).isEqualTo(place);
        if (place != IndexSpace.ALLOCATED_ZERO) {
          assertThat(tree.checksum(block)).isEqualTo(checksumOf(place));
        }
      });
      model.keySet().stream()
          .map(tree::leafPage)
          .distinct()
          .forEach(page -> {
            if (seen.put(page, true) == null) {
              for (int entry = 0; entry < IndexSpace.LEAF_BLOCKS; entry++) {
                long place = IndexSpace.place(space.leafAddress(page), entry);
                if (IndexSpace.isData(place)) {
                  references.merge(place, 1L, Long::sum);
                }
              }
            }
          });
    }
    assertThat(space.references().liveBlocks()).as("live blocks").isEqualTo(references.size());
    references.forEach((place, count) ->
        assertThat(space.references().count(place)).as("references to %d", place).isEqualTo(count));
  }
}
