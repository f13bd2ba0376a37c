package io.plinth.target.cluster;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import org.agrona.collections.MutableInteger;

/**
 * Which nodes have the replicas of a shard: weighted rendezvous hashing (Thaler and Ravishankar
 * 1996; with weights, Schindelhauer and Schomaker 2005), with as few replicas in one rack as there
 * can be.
 *
 * <p>Every node has a score for every shard, which depends on nothing else, and those with the best
 * ones are taken. So a node that comes or goes moves no shard but those that it has or gets. A node
 * of twice the weight has twice as many shards.
 *
 * <p>The result is part of what nodes agree on: it must be the same on every machine, and in every
 * version that works with this one.
 */
public final class Placement {
  private Placement() {}

  /**
   * A node that can have a replica.
   *
   * @param node its number
   * @param rack what fails together: nodes with the same text are in one rack
   * @param weight how much it can have, in any unit, at least 1
   */
  public record Candidate(int node, String rack, long weight) {
    /** Checks the weight. */
    public Candidate {
      if (weight < 1) {
        throw new IllegalArgumentException("node " + node + " has the weight " + weight);
      }
    }
  }

  /**
   * Chooses nodes for the replicas of a shard.
   *
   * @param shard a number of the shard that nothing else has
   * @param replicas how many are wanted
   * @param candidates in any order, each node once
   * @return numbers of nodes, the first of which should lead; fewer than wanted when there are no
   *     more
   */
  public static List<Integer> choose(long shard, int replicas, List<Candidate> candidates) {
    List<Candidate> byScore = new ArrayList<>(candidates);
    byScore.sort(
        Comparator.comparingDouble((Candidate candidate) -> score(shard, candidate))
            .thenComparingInt(Candidate::node));
    List<Integer> chosen = new ArrayList<>();
    TreeMap<String, MutableInteger> inRack = new TreeMap<>();
    for (int most = 1; chosen.size() < replicas && !byScore.isEmpty(); most++) {
      for (int i = 0; i < byScore.size() && chosen.size() < replicas; ) {
        Candidate candidate = byScore.get(i);
        MutableInteger count = inRack.computeIfAbsent(candidate.rack, rack -> new MutableInteger());
        if (count.get() >= most) {
          i++;
          continue;
        }
        count.increment();
        chosen.add(candidate.node);
        Candidate _ = byScore.remove(i);
      }
    }
    return chosen;
  }

  /**
   * Chooses a node for one replica more of a shard: with as few others in its rack as there can be,
   * and of those the one with the best score.
   *
   * @param staying the nodes that have the other replicas
   * @param candidates nodes without one, at least one of them
   */
  public static int another(long shard, List<Candidate> staying, List<Candidate> candidates) {
    return candidates.stream()
        .min(
            Comparator.comparingLong((Candidate candidate) ->
                    staying.stream().filter(other -> other.rack.equals(candidate.rack)).count())
                .thenComparingDouble(candidate -> score(shard, candidate))
                .thenComparingInt(Candidate::node))
        .orElseThrow()
        .node;
  }

  /**
   * Returns a node's score for a shard, the less the better: an exponentially distributed number by
   * the weight, so that the chance to be the least is in proportion to it. StrictMath, because Math
   * may differ between machines.
   */
  private static double score(long shard, Candidate candidate) {
    long hash = mixed(mixed(shard) ^ (candidate.node * 0x9e3779b97f4a7c15L));
    // 52 bits and a half, so that it is neither 0 nor 1.
    double chance = ((hash >>> 12) + 0.5) * 0x1p-52;
    return -StrictMath.log(chance) / candidate.weight;
  }

  /** The finalizer of SplitMix64 (Steele, Lea and Flood 2014). */
  private static long mixed(long value) {
    long z = value + 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
