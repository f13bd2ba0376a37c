package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.plinth.target.cluster.Placement.Candidate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlacementTest {
  private static final int SHARDS = 20_000;

  /** Ten nodes in four racks of different sizes. */
  private static final List<Candidate> NODES =
      List.of(
          new Candidate(1, "a", 10),
          new Candidate(2, "a", 10),
          new Candidate(3, "a", 20),
          new Candidate(4, "b", 10),
          new Candidate(5, "b", 30),
          new Candidate(6, "c", 10),
          new Candidate(7, "c", 10),
          new Candidate(8, "c", 10),
          new Candidate(9, "c", 10),
          new Candidate(10, "d", 40));

  @Test
  void isTheSameForEver() {
    // Other versions have placed shards so: never change these.
    assertThat(Placement.choose(0, 3, NODES)).isEqualTo(List.of(10, 5, 3));
    assertThat(Placement.choose(1, 3, NODES)).isEqualTo(List.of(10, 3, 6));
    assertThat(Placement.choose(-1, 5, NODES)).isEqualTo(List.of(3, 10, 6, 5, 1));
    assertThat(Placement.choose(1L << 40, 1, NODES)).isEqualTo(List.of(3));
  }

  @Test
  void doesNotDependOnTheOrderOfNodes() {
    List<Candidate> shuffled = new ArrayList<>(NODES);
    Random random = new Random(1);
    for (long shard = 0; shard < 200; shard++) {
      Collections.shuffle(shuffled, random);
      assertThat(Placement.choose(shard, 3, shuffled)).isEqualTo(Placement.choose(shard, 3, NODES));
    }
  }

  @Test
  void hasEachNodeOnceAndAsManyAsThereAre() {
    for (int replicas : new int[] {1, 3, 5, 10, 11}) {
      for (long shard = 0; shard < 200; shard++) {
        assertThat(Placement.choose(shard, replicas, NODES))
            .hasSize(Math.min(replicas, 10))
            .doesNotHaveDuplicates();
      }
    }
    assertThat(Placement.choose(7, 3, List.of())).isEmpty();
  }

  @Test
  void withoutRacksNodesHaveShardsByTheirWeights() {
    TreeMap<Integer, Integer> shards = new TreeMap<>();
    for (long shard = 0; shard < SHARDS; shard++) {
      shards.merge(Placement.choose(shard, 1, NODES).getFirst(), 1, Integer::sum);
    }
    long all = NODES.stream().mapToLong(Candidate::weight).sum();
    for (Candidate node : NODES) {
      double expected = SHARDS * (double) node.weight() / all;
      assertThat((double) shards.get(node.node()))
          .as("shards of node %d", node.node())
          .isBetween(expected * 0.92, expected * 1.08);
    }
  }

  @Test
  void nodesOfOneWeightLeadAsManyShardsEach() {
    List<Candidate> equal =
        IntStream.rangeClosed(1, 5).mapToObj(n -> new Candidate(n, "rack" + n, 1)).toList();
    int[] leads = new int[6];
    int[] has = new int[6];
    for (long shard = 0; shard < SHARDS; shard++) {
      List<Integer> chosen = Placement.choose(shard, 3, equal);
      leads[chosen.getFirst()]++;
      chosen.forEach(node -> has[node]++);
    }
    for (int node = 1; node <= 5; node++) {
      assertThat(leads[node]).isBetween(SHARDS / 5 * 92 / 100, SHARDS / 5 * 108 / 100);
      assertThat(has[node]).isBetween(SHARDS * 3 / 5 * 95 / 100, SHARDS * 3 / 5 * 105 / 100);
    }
  }

  @ParameterizedTest
  @CsvSource({"3, 4, 1", "4, 4, 1", "5, 4, 2", "3, 2, 2", "5, 2, 3", "5, 3, 2"})
  void noRackHasMoreThanItMust(int replicas, int racks, int most) {
    List<Candidate> nodes =
        IntStream.range(0, racks * 4)
            .mapToObj(n -> new Candidate(n, "r" + n % racks, 1 + n))
            .toList();
    for (long shard = 0; shard < 500; shard++) {
      TreeMap<Integer, Integer> inRack = new TreeMap<>();
      Placement.choose(shard, replicas, nodes)
          .forEach(node -> inRack.merge(node % racks, 1, Integer::sum));
      assertThat(Collections.max(inRack.values())).isEqualTo(most);
    }
  }

  @Test
  void whoGoesLeavesAllOthersWhereTheyAre() {
    for (Candidate gone : NODES) {
      List<Candidate> left = new ArrayList<>(NODES);
      left.remove(gone);
      for (long shard = 0; shard < 300; shard++) {
        Set<Integer> before = new HashSet<>(Placement.choose(shard, 3, NODES));
        Set<Integer> after = new HashSet<>(Placement.choose(shard, 3, left));
        if (before.remove(gone.node())) {
          assertThat(after).as("shard %d without node %s", shard, gone).containsAll(before);
        } else {
          assertThat(after).isEqualTo(before);
        }
      }
    }
  }

  @Test
  void whoComesTakesOneReplicaAtMost() {
    List<Candidate> more = new ArrayList<>(NODES);
    more.add(new Candidate(11, "b", 25));
    int moved = 0;
    for (long shard = 0; shard < SHARDS; shard++) {
      Set<Integer> before = new HashSet<>(Placement.choose(shard, 3, NODES));
      Set<Integer> after = new HashSet<>(Placement.choose(shard, 3, more));
      boolean takes = after.remove(11);
      assertThat(before).containsAll(after);
      assertThat(before).hasSize(takes ? after.size() + 1 : after.size());
      moved += takes ? 1 : 0;
    }
    assertThat(moved).isBetween(SHARDS / 5, SHARDS / 2);
  }

  @Test
  void aNodeWithoutWeightIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Candidate(4, "a", 0))
        .withMessage("node 4 has the weight 0");
  }
}
