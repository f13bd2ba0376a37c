package io.plinth.tools.simulator;

import io.plinth.tools.simulator.cluster.ClusterSimulation;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the run of a seed did, in words for people.
 *
 * @param operations requests that were answered
 * @param faults how often each fault happened
 * @param figures what else was counted, in the order in which it is told
 * @param digest of how it ended
 */
record SeedResult(
    long operations, Map<String, Long> faults, Map<String, Long> figures, long digest) {
  static SeedResult of(NodeSimulation.Result result) {
    Map<String, Long> faults = new LinkedHashMap<>();
    result.faults().forEach((fault, count) -> faults.put(fault.label(), count));
    return new SeedResult(result.operations(), faults, Map.of(), result.digest());
  }

  static SeedResult of(ClusterSimulation.Result result) {
    Map<String, Long> figures = new LinkedHashMap<>();
    figures.put("commands", result.commands());
    figures.put("joins", result.joins());
    figures.put("resyncs", result.resyncs());
    return new SeedResult(result.operations(), result.faults(), figures, result.digest());
  }
}
