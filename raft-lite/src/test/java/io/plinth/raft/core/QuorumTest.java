package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuorumTest {
  @ParameterizedTest
  @CsvSource({"1, 1", "2, 2", "3, 2", "4, 3", "5, 3", "6, 4", "7, 4"})
  void aMajorityIsMoreThanHalf(int replicas, int majority) {
    assertThat(Quorum.majority(replicas)).isEqualTo(majority);
  }

  @Test
  void aSingleReplicaCommitsWhatItHas() {
    assertThat(Quorum.committedIndex(new long[] {42}, 1)).isEqualTo(42);
  }

  @Test
  void oneSlowReplicaOfThreeDelaysNothing() {
    assertThat(Quorum.committedIndex(new long[] {100, 0, 90}, 3)).isEqualTo(90);
  }

  @Test
  void entriesBeyondTheReplicasDoNotCount() {
    assertThat(Quorum.committedIndex(new long[] {5, 7, 6, 100, 100, 100, 100}, 3)).isEqualTo(6);
  }

  @Test
  void theIndexesAreNotChanged() {
    long[] indexes = {3, 1, 2};

    assertThat(Quorum.committedIndex(indexes, 3)).isEqualTo(2);
    assertThat(indexes).containsExactly(3, 1, 2);
  }

  @Test
  void aNumberOfReplicasThatCanNotBeIsRefused() {
    assertThatThrownBy(() -> Quorum.committedIndex(new long[3], 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Quorum.committedIndex(new long[3], 4))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
