package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * Comparisons of trees against a slow and obvious one, while a cleaner moves blocks between their
 * steps. A model maps each mapped block to what was written to it, which no move changes.
 */
class IndexDiffPropertyTest {
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
  void whatIsToldIsWhatDiffersWhateverTheCleanerDoesMeanwhile() {
    for (long seed = 1; seed <= 40; seed++) {
      IndexDiffPropertyTest run = new IndexDiffPropertyTest();
      run.random = new SimRandom(seed);
      try {
        run.run();
      } catch (AssertionError | RuntimeException e) {
        throw new AssertionError("seed " + seed, e);
      }
    }
  }

  private void run() {
    long blocks =
        switch (random.nextInt(4)) {
          case 0 -> 1 + random.nextInt(448);
          case 1 -> 448 + random.nextInt(5000);
          case 2 -> 1L << 20;
          default -> 1L << 34;
        };
    trees.add(new BlockIndex(space, FAMILY, blocks));
    models.add(new TreeMap<>());
    for (int round = 0; round < 30; round++) {
      for (int i = random.nextInt(60); i > 0; i--) {
        change(random.nextInt(trees.size()));
      }
      int from = random.nextInt(trees.size());
      int to = random.nextInt(trees.size());
      compare(from, to);
      int _ = space.freeSome(50);
    }
    space.close();
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
    switch (random.nextInt(12)) {
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
        long size = 1 + Long.remainderUnsigned(random.nextLong(), 600 * blocks);
        size = random.oneIn(2) ? Math.min(size, 1L << 34) : 1 + random.nextInt(4000);
        if (size < blocks) {
          tree.unmap(size, blocks - size, false, 1);
          model.tailMap(size).clear();
        }
        tree.resize(size, 0);
      }
      default -> {
        long content = ++lastContent;
        for (long b = block; b < end; b++) {
          tree.put(b, freePlace(), 0, 1);
          model.put(b, content);
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

  private void compare(int from, int to) {
    List<IndexDiff.Run> found = new ArrayList<>();
    int limit = 1 + random.nextInt(40);
    long next = 0;
    long end = random.oneIn(2) ? Long.MAX_VALUE : random.nextInt(4000);
    for (boolean more = true; more; ) {
      IndexDiff diff = new IndexDiff(space, trees.get(from), trees.get(to), next, end, limit);
      int steps = 1 + random.nextInt(5);
      while (!diff.isFinished() && !diff.isFull() && steps-- > 0) {
        int _ = diff.step(1 + random.nextInt(100));
        clean();
      }
      assertThat(diff.runs()).hasSizeLessThanOrEqualTo(limit);
      assertThat(diff.isFull() && diff.runs().size() < limit).as("full too early").isFalse();
      diff.runs().forEach(run -> merge(found, run));
      assertThat(diff.nextBlock()).as("goes on").isGreaterThanOrEqualTo(next);
      next = diff.nextBlock();
      more = !diff.isFinished();
    }
    assertThat(found).isEqualTo(upTo(end, expected(from, to)));
  }

  private static List<IndexDiff.Run> upTo(long end, List<IndexDiff.Run> runs) {
    return runs.stream()
        .filter(run -> run.firstBlock() < end)
        .map(run ->
            new IndexDiff.Run(
                run.firstBlock(), Math.min(run.blocks(), end - run.firstBlock()), run.zero()))
        .toList();
  }

  /** Moves some blocks, in all trees at once. */
  private void clean() {
    for (int i = random.nextInt(4); i > 0; i--) {
      int number = random.nextInt(trees.size());
      TreeMap<Long, Long> model = models.get(number);
      if (model.isEmpty()) {
        continue;
      }
      long block =
          model.keySet().stream().skip(random.nextInt(model.size())).findFirst().orElseThrow();
      long place = trees.get(number).place(block);
      if (IndexSpace.isData(place)) {
        assertThat(space.relocate(FAMILY, block, place, freePlace())).isPositive();
      }
    }
  }

  private static void merge(List<IndexDiff.Run> runs, IndexDiff.Run run) {
    IndexDiff.Run last = runs.isEmpty() ? null : runs.getLast();
    if (last != null
        && last.zero() == run.zero()
        && last.firstBlock() + last.blocks() == run.firstBlock()) {
      runs.set(
          runs.size() - 1,
          new IndexDiff.Run(last.firstBlock(), last.blocks() + run.blocks(), run.zero()));
    } else {
      runs.add(run);
    }
  }

  private List<IndexDiff.Run> expected(int from, int to) {
    Map<Long, Long> old = models.get(from);
    Map<Long, Long> current = models.get(to);
    TreeMap<Long, Boolean> differs = new TreeMap<>();
    old.forEach((block, content) -> {
      long now = current.getOrDefault(block, NOTHING);
      if (block < trees.get(to).blocks() && now != content) {
        differs.put(block, now == NOTHING);
      }
    });
    current.forEach((block, content) -> {
      if (!content.equals(old.getOrDefault(block, NOTHING))) {
        differs.put(block, content == NOTHING);
      }
    });
    List<IndexDiff.Run> runs = new ArrayList<>();
    differs.forEach((block, zero) -> merge(runs, new IndexDiff.Run(block, 1, zero)));
    return runs;
  }
}
