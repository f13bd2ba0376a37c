package io.plinth.architecture;

import java.util.Map;
import java.util.Set;

/** Which planted classes, or members of them, each rule must report. */
final class Offenders {
  private static final Map<String, Set<String>> BY_RULE =
      Map.ofEntries(
          Map.entry("raft-lite is a leaf", Set.of("raft.planted.UsesEngine")),
          Map.entry("io-engine is a leaf", Set.of("engine.planted.UsesRaft")),
          Map.entry("replication-log looks down", Set.of("log.planted.UsesTarget")),
          Map.entry("target-server looks down", Set.of("target.planted.UsesTools")),
          Map.entry("tools and bench are apart", Set.of("tools.planted.UsesBench")),
          Map.entry("bench and tools are apart", Set.of("bench.planted.UsesTools")),
          Map.entry("target.main is the root", Set.of("target.planted.UsesMain")),
          Map.entry("sim stays out of production", Set.of("target.planted.UsesSim")),
          Map.entry("io_uring only in engine.uring", Set.of("target.admin.planted.UsesRing")),
          Map.entry(
              "Netty only in engine.uring, engine.net, target.admin",
              Set.of("log.planted.UsesNetty")),
          Map.entry(
              "Bouncy Castle only in target.security", Set.of("target.planted.UsesBouncyCastle")),
          Map.entry("Chronicle Queue only in target.audit", Set.of("target.planted.UsesChronicle")),
          Map.entry(
              "HdrHistogram only in engine.metrics and bench",
              Set.of("target.planted.UsesHistogram")),
          Map.entry(
              "simulated code reads no clock",
              Set.of("ReadsClock.nanos()", "ReadsClock.millis()", "ReadsClock.instant()")),
          Map.entry(
              "simulated code starts no threads",
              Set.of(
                  "StartsThreads.thread()",
                  "StartsThreads.executor()",
                  "StartsThreads.lock()",
                  "StartsThreads.wait(")),
          Map.entry("simulated code synchronises nothing", Set.of("Synchronizes.locked()")),
          Map.entry(
              "simulated code opens nothing itself",
              Set.of("OpensThings.socket()", "OpensThings.file(")),
          Map.entry(
              "simulated code draws no lots",
              Set.of(
                  "DrawsLots.random()",
                  "DrawsLots.math()",
                  "DrawsLots.uuid()",
                  "DrawsLots.local()")),
          Map.entry(
              "simulated code has no hash order",
              Set.of("HashOrder.map()", "HashOrder.set()", "HashOrder.of()")),
          Map.entry(
              "simulated code has no mutable statics",
              Set.of(
                  "MutableStatics.counter",
                  "MutableStatics.LIST",
                  "MutableStatics.SHARED",
                  "MutableStatics.ATOMIC")));

  private Offenders() {}

  static Set<String> of(String rule) {
    return BY_RULE.getOrDefault(rule, Set.of());
  }
}
