package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.volume.IndexWalk;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Scrubber;
import io.plinth.tools.simulator.check.CellHistory;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.disk.LogImage;
import io.plinth.tools.simulator.disk.LogImage.Header;
import io.plinth.tools.simulator.disk.LogImage.Payload;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32C;

/**
 * Damages payload on the disks of one node: only what the log itself says is durable, and what a
 * majority of the replicas besides that one has durably too. In the end looks whether all of it is
 * mended.
 */
final class ClusterDamage {
  private static final int BLOCK = 4096;
  private static final int CELLS = BLOCK / CellHistory.CELL_BYTES;
  private static final int BITS = 8;

  /** What tells a cell's content: its value and its number. */
  private static final int TOLD_BYTES = 2 * Long.BYTES;

  /** Of what is damaged so much is read no more: then no read may fail. */
  private static final int UNREAD_ONE_IN = 8;

  private static final Scrubber.Settings FAST = new Scrubber.Settings(1 << 30, 0);

  /** A block's content, wherever it is. */
  private record Content(int group, long block, long first, long second) {}

  /** A block of payload on one of the victim's disks. */
  private record Place(int log, Payload payload, Content content, ClusterVolume volume) {}

  private final SimRandom random;
  private final List<ClusterNode> nodes;
  private final ClusterCommands commands;

  ClusterDamage(SimRandom random, List<ClusterNode> nodes, ClusterCommands commands) {
    this.random = random;
    this.nodes = nodes;
    this.commands = commands;
  }

  /**
   * Damages a block of a node where there is one that may be.
   *
   * @return what was done, or null
   */
  String inject(ClusterFault kind, ClusterNode victim, long nowNs) {
    List<Place> candidates = candidates(victim);
    List<Place> read = new ArrayList<>(candidates);
    read.removeIf(place -> !mayBeRead(place, nowNs));
    List<Place> from = read.isEmpty() || random.oneIn(UNREAD_ONE_IN) ? candidates : read;
    if (from.isEmpty()) {
      return null;
    }
    Place hit = from.get(random.nextInt(from.size()));
    Place other = from.get(random.nextInt(from.size()));
    if (kind == ClusterFault.MISDIRECTED_WRITE && (hit.equals(other) || hit.log != other.log)) {
      return null;
    }
    SimDisk disk = victim.disk(hit.log);
    int slot = hit.payload.slot();
    int offset = hit.payload.offset();
    note(hit);
    switch (kind) {
      case BIT_ROT -> {
        int cell = random.nextInt(CELLS) * CellHistory.CELL_BYTES;
        disk.rotBit(slot, offset + cell + random.nextInt(TOLD_BYTES), random.nextInt(BITS));
      }
      case READ_ERROR -> disk.failReads(slot, offset);
      case MISDIRECTED_WRITE -> {
        note(other);
        disk.misdirectWrite(slot, offset, other.payload.slot(), other.payload.offset());
      }
      default -> throw new IllegalArgumentException("not damage: " + kind);
    }
    return kind.label() + " on node " + victim.number + " in " + hit.volume.name + " " + hit;
  }

  /**
   * Lets a durable header of a node that is not running rot, if it has one.
   *
   * @return what was done, or null
   */
  String rotHeader(ClusterNode node) {
    SimDisk disk = node.disk(random.nextInt(node.logs()));
    LogImage image = LogImage.ofDisk(disk);
    boolean ofSegment = random.oneIn(3);
    List<Header> candidates = new ArrayList<>(image.headers());
    candidates.removeIf(header ->
        (header.offset() == 0) != ofSegment
            || header.sequence() > image.knownDurable()
            || !disk.isSettled(header.slot(), header.offset()));
    if (candidates.isEmpty()) {
      return null;
    }
    Header header = candidates.get(random.nextInt(candidates.size()));
    node.rot(new RottenHeader(disk, header, random.nextInt(header.bytes()), random.nextInt(BITS)));
    return "rot in " + header + " of node " + node.number;
  }

  private static void note(Place place) {
    place.volume.damaged(place.content.block, place.content.first, place.content.second);
  }

  private static boolean mayBeRead(Place place, long nowNs) {
    int cell = (int) place.content.block * CELLS;
    CellHistory history = place.volume.history;
    return cell + 1 < history.size()
        && history.mayHold(cell, place.content.first, nowNs)
        && history.mayHold(cell + 1, place.content.second, nowNs);
  }

  private List<Place> candidates(ClusterNode victim) {
    Map<Integer, ClusterVolume> volumes = new HashMap<>();
    for (LogVolume replica : victim.replicas()) {
      ClusterVolume volume = commands.find(replica.name());
      if (volume != null && volume.replicas > 1) {
        volumes.put(replica.group().id(), volume);
      }
    }
    Map<Content, Integer> copies = new HashMap<>();
    for (ClusterNode node : nodes) {
      if (node != victim && node.isOpen()) {
        Set<Content> there = new HashSet<>();
        durable(node, volumes).forEach(place -> there.add(place.content));
        there.forEach(content -> copies.merge(content, 1, Integer::sum));
      }
    }
    List<Place> candidates = durable(victim, volumes);
    candidates.removeIf(
        place -> copies.getOrDefault(place.content, 0) <= place.volume.replicas / 2);
    return candidates;
  }

  /** Returns what a node has durably and whole of some groups that it has replicas of. */
  private static List<Place> durable(ClusterNode node, Map<Integer, ClusterVolume> volumes) {
    Set<Integer> groups = new HashSet<>();
    node.replicas().forEach(replica -> groups.add(replica.group().id()));
    List<Place> found = new ArrayList<>();
    for (int log = 0; log < node.logs(); log++) {
      SimDisk disk = node.disk(log);
      LogImage image = LogImage.ofDisk(disk);
      for (Payload payload : image.payloads()) {
        ClusterVolume volume =
            groups.contains(payload.group()) ? volumes.get(payload.group()) : null;
        if (volume != null
            && payload.sequence() <= image.knownDurable()
            && disk.isSettled(payload.slot(), payload.offset())) {
          long first = value(disk, payload, 0);
          long second = value(disk, payload, CellHistory.CELL_BYTES);
          if (first != 0 || second != 0) {
            Content content = new Content(payload.group(), payload.block(), first, second);
            found.add(new Place(log, payload, content, volume));
          }
        }
      }
    }
    return found;
  }

  private static long value(SimDisk disk, Payload payload, int at) {
    return disk.content(payload.slot()).buffer(payload.offset() + at, Long.BYTES).getLong(0);
  }

  // The end.

  /** Lets all nodes look for what is damaged. */
  void beginScrubs() {
    for (ClusterNode node : nodes) {
      for (int log = 0; log < node.logs(); log++) {
        Scrubber scrubber = node.node().store(log).scrubber();
        scrubber.configure(FAST);
        if (!scrubber.start()) {
          throw new Violation(Guarantee.G5, "node " + node.number + " can't look for damage");
        }
      }
    }
  }

  boolean haveScrubsEnded() {
    for (ClusterNode node : nodes) {
      for (int log = 0; log < node.logs(); log++) {
        if (node.node().store(log).scrubber().progress().running()) {
          return false;
        }
      }
    }
    return true;
  }

  /** All that replicas refer to is whole on their disks, and the scrubs say so too. */
  void requireMended(String when) {
    for (ClusterNode node : nodes) {
      for (int log = 0; log < node.logs(); log++) {
        Scrubber.Pass pass = node.node().store(log).scrubber().progress().last();
        if (!pass.complete() || pass.damagedBlocks() > 0) {
          throw new Violation(
              Guarantee.G5, "node " + node.number + " is damaged still " + when + ": " + pass);
        }
        requireWhole(node, log, when);
      }
    }
  }

  private static void requireWhole(ClusterNode node, int log, String when) {
    SimDisk disk = node.disk(log);
    int perSegment = disk.segmentBytes() / BLOCK;
    IndexWalk.Visitor visitor =
        new IndexWalk.Visitor() {
          @Override
          public void onData(long place, int checksum) throws RecoveryException {
            int slot = (int) (place / perSegment);
            int offset = (int) (place % perSegment) * BLOCK;
            if (!disk.isClean(slot, offset)) {
              // It is going to be written.
              return;
            }
            CRC32C crc = new CRC32C();
            crc.update(disk.diskContent(slot, offset, BLOCK));
            if ((int) crc.getValue() != checksum || disk.isUnreadable(slot, offset)) {
              throw new RecoveryException("segment " + slot + " offset " + offset);
            }
          }

          @Override
          public void onCheckpoint(long place, int checksum) {}
        };
    try {
      new IndexWalk("log-" + log, node.node().store(log)).runTrees(visitor);
    } catch (RecoveryException e) {
      throw new Violation(
          Guarantee.G5,
          "node " + node.number + " refers to what is damaged " + when + ": " + e.getMessage());
    }
  }
}
