package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** The radix tree against a slow and obvious map. */
class BlockIndexPropertyTest {
  @Test
  void behavesLikeAMapOfBlocksForSmallAndHugeVolumes() {
    for (long seed = 1; seed <= 40; seed++) {
      SimRandom random = new SimRandom(seed);
      long blocks =
          switch (random.nextInt(4)) {
            case 0 -> 1 + random.nextInt(448);
            case 1 -> 448 + random.nextInt(5000);
            case 2 -> 1L << 20;
            default -> 1L << 34;
          };
      run(random, blocks, seed);
    }
  }

  private static void run(SimRandom random, long blocks, long seed) {
    IndexMemory memory = new IndexMemory();
    BlockIndex index = new BlockIndex(memory, blocks);
    TreeMap<Long, Long> model = new TreeMap<>();
    for (int step = 0; step < 3000; step++) {
      long block = Long.remainderUnsigned(random.nextLong(), blocks);
      if (random.oneIn(3)) {
        block = Math.min(blocks - 1, Long.remainderUnsigned(random.nextLong(), 1000));
      }
      long count = Math.min(blocks - block, 1 + random.nextInt(random.oneIn(4) ? 5000 : 20));
      switch (random.nextInt(8)) {
        case 0 -> {
          index.unmap(block, count, false, step);
          model.subMap(block, block + count).clear();
        }
        case 1 -> {
          count = Math.min(count, 600);
          index.unmap(block, count, true, step);
          for (long b = block; b < block + count; b++) {
            model.put(b, BlockIndex.ALLOCATED_ZERO);
          }
        }
        default -> {
          long place = 1 + Long.remainderUnsigned(random.nextLong(), (1L << 40) - 3);
          index.put(block, place, (int) place, step);
          model.put(block, place);
        }
      }
      long probe = Long.remainderUnsigned(random.nextLong(), blocks);
      assertThat(index.place(probe)).as("seed %d", seed).isEqualTo(model.getOrDefault(probe, 0L));
      assertThat(index.anyMapped(block, count))
          .as("seed %d", seed)
          .isEqualTo(!model.subMap(block, block + count).isEmpty());
    }
    assertThat(index.mappedBlocks()).isEqualTo(model.size());
    model.forEach((block, place) -> {
      assertThat(index.place(block)).isEqualTo(place);
      if (place != BlockIndex.ALLOCATED_ZERO) {
        assertThat(index.checksum(block)).isEqualTo((int) (long) place);
      }
    });
    index.clear();
    assertThat(memory.usedBytes()).as("all pages came back").isZero();
    memory.close();
  }
}
