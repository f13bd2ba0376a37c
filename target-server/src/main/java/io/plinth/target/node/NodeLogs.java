package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.VolumeStore;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/** The logs of a node, log 0 first, and their figures. */
final class NodeLogs {
  private final List<NodeLog> logs;

  NodeLogs(List<LogResources> resources, Set<PlantedBug> plantedBugs) {
    logs = resources.stream().map(log -> new NodeLog(log, plantedBugs)).toList();
  }

  List<NodeLog> all() {
    return logs;
  }

  int count() {
    return logs.size();
  }

  NodeLog get(int number) {
    return logs.get(number);
  }

  /** Returns the log that holds the catalogue. */
  NodeLog first() {
    return logs.get(0);
  }

  /** Returns the log that a volume or snapshot is in. */
  NodeLog of(IndexedVolume volume) {
    for (NodeLog log : logs) {
      if (volume.isIn(log.store())) {
        return log;
      }
    }
    throw new IllegalArgumentException("volume " + volume.name() + " is in no log of this node");
  }

  VolumeStore storeOf(IndexedVolume volume) {
    return of(volume).store();
  }

  /** Returns the identity of the node that a log must have; null for log 0, which tells it. */
  UUID nodeIdFor(int number) {
    return number == 0 ? null : first().nodeId();
  }

  List<String> recoverySummaries() {
    return logs.stream().map(NodeLog::summary).toList();
  }

  long usedBytes() {
    return logs.stream().mapToLong(log -> log.store().journal().usedBytes()).sum();
  }

  long capacityBytes() {
    return logs.stream().mapToLong(log -> log.store().journal().capacityBytes()).sum();
  }

  boolean hasFailed() {
    return logs.stream().anyMatch(log -> log.store().journal().failure() != Status.OK);
  }

  List<LogStatistics> statistics() {
    return logs.stream().map(NodeLog::statistics).toList();
  }

  void free() {
    logs.forEach(NodeLog::free);
  }
}
