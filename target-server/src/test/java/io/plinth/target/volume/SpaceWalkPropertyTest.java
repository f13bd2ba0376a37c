package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * The space that only one tree takes, against a slow and obvious count, and against what deleting
 * the tree gives back. A model maps each mapped block of a tree to what was written to it; content
 * has one place, which the cleaner changes for all.
 */
class SpaceWalkPropertyTest {
  private static final int SEGMENTS = 64;
  private static final int SEGMENT_BLOCKS = 1024;
  private static final int FAMILY = 7;

  /** What a block that is allocated and reads as zeroes holds. */
  private static final long NOTHING = 0;

  private final IndexSpace space = new IndexSpace(SEGMENTS, SEGMENT_BLOCKS, Set.of());
  private final List<BlockIndex> trees = new ArrayList<>();
  private final List<TreeMap<Long, Long>> models = new ArrayList<>();
  private SimRandom random = new SimRandom(0);
  private long lastPlace;
  private long lastContent;

  @Test
  void uniqueIsWhatDeletingGivesBack() {
    long unique = 0;
    long shared = 0;
    for (long seed = 1; seed <= 60; seed++) {
      SpaceWalkPropertyTest run = new SpaceWalkPropertyTest();
      run.random = new SimRandom(seed);
      try {
        long[] counts = run.run();
        unique += counts[0];
        shared += counts[1];
      } catch (AssertionError | RuntimeException e) {
        throw new AssertionError("seed " + seed, e);
      }
    }
    assertThat(unique).isPositive();
    assertThat(shared).isPositive();
  }

  @Test
  void countsAreInexactWhenATreeChangesAndNotWhenTheCleanerMoves() {
    BlockIndex tree = new BlockIndex(space, FAMILY, 10_000);
    for (int block = 0; block < 10_000; block++) {
      tree.put(block, block + 1, 0, 1);
    }
    SpaceWalk undisturbed = new SpaceWalk(space, tree);
    undisturbed.step(1);
    assertThat(space.relocate(FAMILY, 5000, 5001, 20_000)).isEqualTo(1);
    finish(undisturbed);
    assertThat(undisturbed.isExact()).isTrue();
    assertThat(undisturbed.unique()).isEqualTo(10_000);
    SpaceWalk disturbed = new SpaceWalk(space, tree);
    disturbed.step(1);
    tree.put(0, 30_000, 0, 2);
    finish(disturbed);
    assertThat(disturbed.isExact()).isFalse();
    SpaceWalk freeing = new SpaceWalk(space, tree);
    tree.clear();
    finish(freeing);
    assertThat(freeing.isExact()).isFalse();
    space.close();
  }

  private static void finish(SpaceWalk walk) {
    for (int i = 0; i < 100_000 && !walk.isFinished(); i++) {
      walk.step(100);
    }
    assertThat(walk.isFinished()).isTrue();
  }

  /** Returns how many unique and how many shared blocks there were. */
  private long[] run() {
    long blocks =
        switch (random.nextInt(4)) {
          case 0 -> 1 + random.nextInt(448);
          case 1 -> 448 + random.nextInt(5000);
          case 2 -> 1L << 20;
          default -> 1L << 34;
        };
    long[] counts = new long[2];
    trees.add(new BlockIndex(space, FAMILY, blocks));
    models.add(new TreeMap<>());
    for (int round = 0; round < 20; round++) {
      for (int i = random.nextInt(40); i > 0; i--) {
        change(random.nextInt(trees.size()));
      }
      freeAll();
      clean();
      for (int i = 0; i < trees.size(); i++) {
        check(i, counts);
      }
      if (trees.size() > 1 && random.oneIn(2)) {
        delete(random.nextInt(trees.size()));
      }
    }
    space.close();
    return counts;
  }

  private void change(int number) {
    BlockIndex tree = trees.get(number);
    TreeMap<Long, Long> model = models.get(number);
    long blocks = tree.blocks();
    long block =
        random.oneIn(2)
            ? random.nextInt((int) Math.min(blocks, 3000))
            : Long.remainderUnsigned(random.nextLong(), blocks);
    long end = Math.min(blocks, block + 1 + random.nextInt(random.oneIn(5) ? 1500 : 12));
    switch (random.nextInt(10)) {
      case 0 -> {
        tree.unmap(block, end - block, false, 1);
        model.subMap(block, end).clear();
      }
      case 1 -> {
        tree.unmap(block, end - block, true, 1);
        for (long b = block; b < end; b++) {
          model.put(b, NOTHING);
        }
      }
      case 2 -> {
        if (trees.size() < 6) {
          trees.add(tree.snapshot());
          models.add(new TreeMap<>(model));
        }
      }
      case 3 -> {
        int other = random.nextInt(trees.size());
        if (other != number && random.oneIn(3)) {
          tree.replaceBy(trees.get(other));
          models.set(number, new TreeMap<>(models.get(other)));
        }
      }
      default -> {
        for (long b = block; b < end; b++) {
          tree.put(b, freePlace(), 0, 1);
          model.put(b, ++lastContent);
        }
      }
    }
  }

  private long freePlace() {
    long places = (long) SEGMENTS * SEGMENT_BLOCKS;
    do {
      lastPlace = lastPlace + 1 == places ? 1 : lastPlace + 1;
    } while (space.references().count(lastPlace) > 0);
    return lastPlace;
  }

  private void freeAll() {
    while (space.isFreeing()) {
      int _ = space.freeSome(100);
    }
  }

  /** Moves some blocks, in all trees at once. */
  private void clean() {
    for (int number = 0; number < trees.size(); number++) {
      TreeMap<Long, Long> model = models.get(number);
      long at = 0;
      for (int i = random.nextInt(4); i > 0; i--) {
        Long block = model.ceilingKey(at);
        if (block == null) {
          break;
        }
        long place = trees.get(number).place(block);
        if (IndexSpace.isData(place)) {
          assertThat(space.relocate(FAMILY, block, place, freePlace())).isPositive();
        }
        at = block + 1 + random.nextInt(500);
      }
    }
  }

  private void check(int number, long[] counts) {
    SpaceWalk walk = new SpaceWalk(space, trees.get(number));
    finish(walk);
    assertThat(walk.isExact()).isTrue();
    Set<Long> others = new HashSet<>();
    for (int i = 0; i < trees.size(); i++) {
      if (i != number) {
        others.addAll(models.get(i).values());
      }
    }
    long unique =
        models.get(number).values().stream()
            .filter(content -> content != NOTHING && !others.contains(content))
            .count();
    assertThat(walk.unique()).isEqualTo(unique);
    counts[0] += unique;
    counts[1] += models.get(number).size() - unique;
    long zeroes = models.get(number).values().stream().filter(c -> c == NOTHING).count();
    assertThat(walk.zeroes()).isLessThanOrEqualTo(zeroes);
    if (trees.size() == 1) {
      assertThat(walk.zeroes()).isEqualTo(zeroes);
    }
    assertThat(trees.get(number).mappedBlocks()).isEqualTo(models.get(number).size());
  }

  private void delete(int number) {
    SpaceWalk walk = new SpaceWalk(space, trees.get(number));
    finish(walk);
    long before = space.references().liveBlocks();
    trees.remove(number).clear();
    models.remove(number);
    freeAll();
    assertThat(before - space.references().liveBlocks())
        .as("blocks that the deletion gave back")
        .isEqualTo(walk.unique());
  }
}
