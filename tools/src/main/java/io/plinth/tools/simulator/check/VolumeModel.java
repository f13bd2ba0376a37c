package io.plinth.tools.simulator.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * What one volume may read as: for each sector the acknowledged version, those on their way, and
 * those that the loss of power may bring back. What can't be read must be among what the disk has
 * damaged.
 *
 * <p>At most one change touches a sector at a time, so the order of changes of a sector is known.
 */
public final class VolumeModel {
  /** Damage has the size of a block of the volume. */
  public static final int SECTORS_PER_BLOCK = 8;

  private final String name;
  private final int sectors;
  private final SectorHistory[] histories;
  private final boolean[] busy;

  private final DamagedBlocks damaged;

  /** By block: whether a failed sync may have lost it. */
  private final boolean[] lost;

  private final List<PendingRead> reads = new ArrayList<>();
  private final List<Change> pending = new ArrayList<>();

  // Acknowledged and not known to be durable: the loss of power takes each as a whole or not.
  private final List<Change> undurable = new ArrayList<>();

  /** Snapshots and clones that are being made, so that each may have what is written meanwhile. */
  private final List<VolumeModel> copies = new ArrayList<>();

  /** What was acknowledged when a FLUSH began. */
  public static final class Flush {
    private final long[] versions;
    private final List<Change> changes;

    private Flush(long[] versions, List<Change> changes) {
      this.versions = versions;
      this.changes = changes;
    }
  }

  /**
   * Creates the model of a new volume, which reads as zeroes.
   *
   * @param damaged what excuses reads that fail
   */
  public VolumeModel(String name, int sectors, DamagedBlocks damaged) {
    this.name = name;
    this.damaged = damaged;
    this.sectors = sectors;
    this.histories = new SectorHistory[sectors];
    Arrays.setAll(histories, i -> new SectorHistory());
    this.busy = new boolean[sectors];
    this.lost = new boolean[(sectors + SECTORS_PER_BLOCK - 1) / SECTORS_PER_BLOCK];
  }

  /**
   * A snapshot or clone is about to be made: it will have what was acknowledged before, and may
   * have what is on its way or begins before {@link #endCopy}.
   */
  public VolumeModel beginCopy(String copyName) {
    VolumeModel copy = resized(copyName, sectors);
    for (Change change : pending) {
      copy.suspect(change);
    }
    copies.add(copy);
    return copy;
  }

  /** The copy was made, and is durable, or was not made. */
  public void endCopy(VolumeModel copy) {
    copies.remove(copy);
    for (SectorHistory history : copy.histories) {
      history.dropSuperseded();
    }
  }

  /** Returns a model of the same content in another size; nothing is on its way. */
  public VolumeModel resized(String newName, int newSectors) {
    VolumeModel copy = new VolumeModel(newName, newSectors, damaged);
    for (int s = 0; s < Math.min(sectors, newSectors); s++) {
      copy.histories[s] = histories[s].copy();
      copy.lost[s / SECTORS_PER_BLOCK] = lost[s / SECTORS_PER_BLOCK];
    }
    undurable.forEach(copy::suspect);
    return copy;
  }

  /** Takes note of a change that must be there as a whole or not at all. */
  private void suspect(Change change) {
    if (change.kind != Change.Kind.TRIM && change.first + change.count <= sectors) {
      undurable.add(change);
    }
  }

  /** Returns whether it is open what any of these sectors hold. */
  public boolean isAmbiguous(int first, int count) {
    for (int s = first; s < first + count; s++) {
      if (!histories[s].isDurable()) {
        return true;
      }
    }
    return false;
  }

  /** Returns the stamps of all sectors as they were acknowledged last. */
  public long[] stamps() {
    long[] stamps = new long[sectors];
    Arrays.setAll(stamps, s -> SectorHistory.contentOf(histories[s].acknowledged()));
    return stamps;
  }

  /** Returns the size in sectors. */
  public int sectors() {
    return sectors;
  }

  /** Returns whether a change to any of these sectors is on its way. */
  public boolean isBusy(int first, int count) {
    for (int s = first; s < first + count; s++) {
      if (busy[s]) {
        return true;
      }
    }
    return false;
  }

  /**
   * A change is about to be submitted.
   *
   * @param version a positive number that no other change has; the stamp of a WRITE
   * @param durable whether the acknowledgement will promise durability
   */
  public Change beginChange(Change.Kind kind, int first, int count, long version, boolean durable) {
    int from = first;
    int to = first + count;
    if (kind == Change.Kind.TRIM) {
      // What is less than a block at the edges stays; the end of the volume counts as whole.
      from = (first + SECTORS_PER_BLOCK - 1) / SECTORS_PER_BLOCK * SECTORS_PER_BLOCK;
      to = to == sectors ? to : to / SECTORS_PER_BLOCK * SECTORS_PER_BLOCK;
      from = Math.min(from, to);
    }
    Change change = new Change(kind, from, to - from, version, durable);
    change.mayFail = mergesDamage(change);
    for (int s = from; s < to; s++) {
      histories[s].add(versionOf(change));
      busy[s] = true;
      for (PendingRead read : reads) {
        read.allow(s, SectorHistory.contentOf(versionOf(change)));
      }
      for (VolumeModel copy : copies) {
        copy.histories[s].add(versionOf(change));
      }
    }
    pending.add(change);
    copies.forEach(copy -> copy.suspect(change));
    return change;
  }

  /** The change was acknowledged. */
  public void acknowledge(Change change) {
    end(change);
    for (int s = change.first; s < change.first + change.count; s++) {
      histories[s].acknowledge(versionOf(change));
      if (change.durable) {
        histories[s].dropOlderThan(versionOf(change));
      }
    }
    for (int s = change.first; s < change.first + change.count; s++) {
      lost[s / SECTORS_PER_BLOCK] = false;
    }
    if (!change.durable && change.kind != Change.Kind.TRIM) {
      undurable.add(change);
    }
  }

  /** The change was refused and has no effect. */
  public void refuse(Change change) {
    end(change);
    for (int s = change.first; s < change.first + change.count; s++) {
      histories[s].remove(versionOf(change));
      for (VolumeModel copy : copies) {
        copy.histories[s].remove(versionOf(change));
      }
    }
    copies.forEach(copy -> copy.undurable.remove(change));
  }

  /** The change has failed in a way that leaves open whether it has an effect. */
  public void leaveOpen(Change change) {
    end(change);
  }

  /** A FLUSH is about to be submitted. */
  public Flush beginFlush() {
    long[] versions = new long[sectors];
    Arrays.setAll(versions, s -> histories[s].acknowledged());
    return new Flush(versions, List.copyOf(undurable));
  }

  /** The FLUSH was acknowledged. */
  public void endFlush(Flush flush) {
    for (int s = 0; s < sectors; s++) {
      histories[s].dropOlderThan(flush.versions[s]);
    }
    undurable.removeAll(flush.changes);
  }

  /** A read is about to be submitted. */
  public PendingRead beginRead(int first, int count) {
    PendingRead read = new PendingRead(first, count);
    read.mayFail = anyLost(first, count);
    for (int s = first; s < first + count; s++) {
      for (int i = 0; i < histories[s].readableCount(); i++) {
        read.allow(s, histories[s].readable(i));
      }
    }
    reads.add(read);
    return read;
  }

  /** The read has returned the stamps of its sectors. */
  public void endRead(PendingRead read, long[] stamps) {
    reads.remove(read);
    for (int i = 0; i < read.count; i++) {
      if (!read.possible.get(i).contains(stamps[i])) {
        throw new Violation(
            Guarantee.G1,
            sector(read.first + i)
                + " reads "
                + stamps[i]
                + " where "
                + read.possible.get(i)
                + " was possible");
      }
    }
  }

  /** The read has failed with EIO. */
  public void failRead(PendingRead read) {
    reads.remove(read);
    if (!read.mayFail && !anyLost(read.first, read.count) && !meetsDamage(read)) {
      throw new Violation(
          Guarantee.G5,
          "a read of "
              + read.count
              + " sectors from "
              + sector(read.first)
              + " failed, though nothing there was damaged");
    }
  }

  /** Returns whether a change has failed because of damage to what it overwrites a part of. */
  public boolean mayFail(Change change) {
    return change.mayFail || mergesDamage(change);
  }

  /** Returns whether a block may hold something now, as far as it is within the volume. */
  public boolean mayHold(int block, long[] stamps) {
    return block < lost.length && holds(block, stamps, SectorHistory::mayBeRead);
  }

  /**
   * A sync has failed, and the kernel has forgotten what it could not write: blocks that are not
   * known to be durable may fail to read once they have left the page cache.
   */
  public void syncFailed() {
    for (int s = 0; s < sectors; s++) {
      lost[s / SECTORS_PER_BLOCK] |= !histories[s].isDurable();
    }
  }

  /** The log was closed in order: all that was acknowledged is durable. */
  public void closed() {
    endFlush(beginFlush());
  }

  /** The process has died or the machine has lost power; nothing that was on its way will end. */
  public void crashed() {
    reads.clear();
    copies.clear();
    Arrays.fill(busy, false);
  }

  /**
   * Judges what is there after a crash, and goes on from it.
   *
   * @param stamps of all sectors
   * @param failed for each block, whether it can't be read
   */
  public void recovered(boolean power, long[] stamps, boolean[] failed) {
    if (power) {
      judge(Guarantee.G2, "after a power cut", true, stamps, failed);
    } else {
      judge(Guarantee.G3, "after a kill", false, stamps, failed);
    }
  }

  /**
   * Judges what a copy is that has been made, and goes on from it.
   *
   * @param stamps of all sectors
   * @param failed for each block, whether it can't be read
   */
  public void copied(long[] stamps, boolean[] failed) {
    judge(Guarantee.SNAPSHOT, "in a copy", true, stamps, failed);
  }

  private void judge(
      Guarantee promise, String when, boolean power, long[] stamps, boolean[] failed) {
    for (int s = 0; s < sectors; s++) {
      int block = s / SECTORS_PER_BLOCK;
      if (failed[block]) {
        if (!mayBeDamaged(block, power)) {
          throw new Violation(Guarantee.G5, sector(s) + " can't be read, though it was undamaged");
        }
      } else if (!(power
          ? histories[s].mayBeFound(stamps[s])
          : histories[s].mayBeRead(stamps[s]))) {
        throw new Violation(
            promise,
            sector(s) + " reads " + stamps[s] + " " + when + ", possible was " + histories[s]);
      }
    }
    checkAtomic(stamps, failed);
    settle(power, stamps, failed);
  }

  /** Gives what the volume reads as to a digest. */
  public void digest(LongConsumer into) {
    for (int s = 0; s < sectors; s++) {
      into.accept(histories[s].acknowledged());
    }
  }

  private void checkAtomic(long[] stamps, boolean[] failed) {
    List<Change> suspects = new ArrayList<>(undurable);
    suspects.addAll(pending);
    for (Change change : suspects) {
      if (change.kind == Change.Kind.TRIM) {
        continue;
      }
      int there = -1;
      int missing = -1;
      for (int s = change.first; s < change.first + change.count; s++) {
        if (!failed[s / SECTORS_PER_BLOCK]) {
          there = histories[s].proves(stamps[s], versionOf(change)) ? s : there;
          missing = histories[s].refutes(stamps[s], versionOf(change)) ? s : missing;
        }
      }
      if (there >= 0 && missing >= 0) {
        throw new Violation(
            Guarantee.G4,
            "of request "
                + change.version
                + " ("
                + change.kind
                + " of "
                + change.count
                + " sectors from "
                + sector(change.first)
                + ") sector "
                + there
                + " is there and sector "
                + missing
                + " is not");
      }
    }
  }

  private void settle(boolean power, long[] stamps, boolean[] failed) {
    for (int s = 0; s < sectors; s++) {
      if (!failed[s / SECTORS_PER_BLOCK]) {
        histories[s].found(stamps[s], power);
      } else if (power) {
        histories[s].forgetAcknowledged();
      }
    }
    if (power) {
      // What is there after a power cut is on the disk.
      undurable.clear();
    } else {
      // What was on its way is there or gone; where it is there it counts as acknowledged.
      for (Change change : pending) {
        if (change.kind != Change.Kind.TRIM) {
          undurable.add(change);
        }
      }
    }
    pending.clear();
  }

  private void end(Change change) {
    pending.remove(change);
    Arrays.fill(busy, change.first, change.first + change.count, false);
  }

  /** Returns whether a change must read what it overwrites a part of, and that may be damaged. */
  private boolean mergesDamage(Change change) {
    int from = change.first;
    int to = change.first + change.count;
    if (change.kind == Change.Kind.TRIM || from >= to) {
      return false;
    }
    boolean head = from % SECTORS_PER_BLOCK != 0;
    boolean tail = to % SECTORS_PER_BLOCK != 0 && to != sectors;
    int first = from / SECTORS_PER_BLOCK;
    int last = (to - 1) / SECTORS_PER_BLOCK;
    return (head && (lost[first] || mayBeDamaged(first, false)))
        || (tail && (lost[last] || mayBeDamaged(last, false)));
  }

  private boolean mayBeDamaged(int block, boolean afterPowerCut) {
    SectorTest possible = afterPowerCut ? SectorHistory::mayBeFound : SectorHistory::mayBeRead;
    return damaged.anyOf(block, stamps -> holds(block, stamps, possible));
  }

  /** Returns whether some block of a read may have been read as what was damaged. */
  private boolean meetsDamage(PendingRead read) {
    for (int block = read.first / SECTORS_PER_BLOCK; isIn(block, read); block++) {
      int start = block * SECTORS_PER_BLOCK;
      if (damaged.anyOf(block, stamps -> read.mayHaveMet(start, stamps))) {
        return true;
      }
    }
    return false;
  }

  private static boolean isIn(int block, PendingRead read) {
    return block * SECTORS_PER_BLOCK < read.first + read.count;
  }

  private boolean anyLost(int first, int count) {
    for (int s = first & -SECTORS_PER_BLOCK; s < first + count; s += SECTORS_PER_BLOCK) {
      if (lost[s / SECTORS_PER_BLOCK]) {
        return true;
      }
    }
    return false;
  }

  private interface SectorTest {
    boolean test(SectorHistory history, long content);
  }

  private boolean holds(int block, long[] stamps, SectorTest possible) {
    int start = block * SECTORS_PER_BLOCK;
    for (int i = 0; i < SECTORS_PER_BLOCK && start + i < sectors; i++) {
      if (!possible.test(histories[start + i], stamps[i])) {
        return false;
      }
    }
    return true;
  }

  private static long versionOf(Change change) {
    return change.kind == Change.Kind.WRITE ? change.version : -change.version;
  }

  private String sector(int number) {
    return "volume " + name + " sector " + number;
  }
}
