package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Counting against sorting. */
class QuorumPropertyTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9})
  void theCommittedIndexIsTheMiddleOfTheSortedOnes(int replicas) {
    SplittableRandom random = new SplittableRandom(replicas);
    for (int round = 0; round < 10_000; round++) {
      // A small range makes equal indexes frequent, a large one the extremes.
      long[] indexes =
          round % 2 == 0
              ? random.longs(replicas, 0, 5).toArray()
              : random.longs(replicas).toArray();
      long[] sorted = indexes.clone();
      Arrays.sort(sorted);

      assertThat(Quorum.committedIndex(indexes, replicas))
          .as("seed %d round %d: %s", replicas, round, Arrays.toString(indexes))
          .isEqualTo(sorted[replicas - Quorum.majority(replicas)]);
    }
  }
}
