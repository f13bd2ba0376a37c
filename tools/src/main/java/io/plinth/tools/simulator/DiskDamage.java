package io.plinth.tools.simulator;

import io.plinth.engine.sim.Fault;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.tools.simulator.check.DamagedBlocks;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.disk.LogImage;
import io.plinth.tools.simulator.disk.LogImage.Header;
import io.plinth.tools.simulator.disk.LogImage.Payload;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

/** Damages what is durable on a disk, and tells the models which reads may fail from then on. */
final class DiskDamage {
  private static final int BLOCK = 4096;

  /** How many payloads are looked at for one that is wanted. */
  private static final int TRIES = 50;

  private static final int BITS = 8;

  private final SimRandom random;
  private final SimDisk disk;
  private final DamagedBlocks damaged = new DamagedBlocks();
  private Header rotten;
  private int rottenOffset;
  private int rottenBit;

  DiskDamage(SimRandom random, SimDisk disk) {
    this.random = random;
    this.disk = disk;
  }

  /** Returns what has been damaged. */
  DamagedBlocks damaged() {
    return damaged;
  }

  /**
   * Damages something where there is something to damage.
   *
   * @return what was done, or null
   */
  String inject(Fault kind, Collection<SimVolume> volumes) {
    LogImage onDisk = LogImage.ofDisk(disk);
    String done =
        kind == Fault.HEADER_ROT ? rotHeader(onDisk) : damagePayload(kind, onDisk, volumes);
    if (done != null) {
      disk.note(kind);
    }
    return done;
  }

  /** Returns whether a header has rotted, so that the node may refuse to start. */
  boolean hasRottenHeader() {
    return rotten != null;
  }

  /** Puts the right header back. */
  void mendHeader() {
    if (!disk.slots().contains(rotten.slot())) {
      throw new Violation(
          Guarantee.G6, "a start that was refused has removed segment file " + rotten.slot());
    }
    disk.mendBit(rotten.slot(), rottenOffset, rottenBit);
    rotten = null;
  }

  private String rotHeader(LogImage onDisk) {
    if (rotten != null) {
      return null;
    }
    boolean ofSegment = random.oneIn(3);
    List<Header> candidates =
        onDisk.headers().stream()
            .filter(header -> (header.offset() == 0) == ofSegment)
            .filter(header -> header.sequence() <= onDisk.knownDurable())
            .filter(header -> disk.isSettled(header.slot(), header.offset()))
            .toList();
    if (candidates.isEmpty()) {
      return null;
    }
    rotten = candidates.get(random.nextInt(candidates.size()));
    rottenOffset = rotten.offset() + random.nextInt(rotten.bytes());
    rottenBit = random.nextInt(BITS);
    disk.rotBit(rotten.slot(), rottenOffset, rottenBit);
    return "rot in " + rotten;
  }

  private String damagePayload(Fault kind, LogImage onDisk, Collection<SimVolume> volumes) {
    List<Payload> candidates =
        onDisk.payloads().stream()
            .filter(payload -> payload.sequence() <= onDisk.knownDurable())
            .filter(payload -> disk.isSettled(payload.slot(), payload.offset()))
            // Zeroes have no stamp that tells where they are read.
            .filter(payload -> Arrays.stream(onDisk.stamps(payload)).anyMatch(stamp -> stamp != 0))
            .toList();
    if (candidates.isEmpty()) {
      return null;
    }
    // Now and then something that is read no more: then no read may fail.
    boolean live = !random.oneIn(8);
    Payload hit = choose(candidates, onDisk, live, volumes);
    Payload other = choose(candidates, onDisk, live, volumes);
    if (kind == Fault.MISDIRECTED_WRITE && hit.equals(other)) {
      return null;
    }
    String what = kind.label() + " in " + (isRead(hit, onDisk, volumes) ? "" : "unread ") + hit;
    // The damage may hide what is damaged.
    note(hit, onDisk);
    int offset = hit.offset() + random.nextInt(BLOCK);
    switch (kind) {
      case BIT_ROT -> disk.rotBit(hit.slot(), offset, random.nextInt(BITS));
      case READ_ERROR -> disk.failReads(hit.slot(), hit.offset());
      case MISDIRECTED_WRITE -> {
        note(other, onDisk);
        disk.misdirectWrite(hit.slot(), hit.offset(), other.slot(), other.offset());
      }
      default -> throw new IllegalArgumentException("not damage: " + kind);
    }
    return what;
  }

  /** Chooses something that is read, or is not; anything, where that is not found soon. */
  private Payload choose(
      List<Payload> candidates, LogImage onDisk, boolean live, Collection<SimVolume> volumes) {
    Payload chosen = candidates.get(random.nextInt(candidates.size()));
    for (int i = 0; i < TRIES && isRead(chosen, onDisk, volumes) != live; i++) {
      chosen = candidates.get(random.nextInt(candidates.size()));
    }
    return chosen;
  }

  private static boolean isRead(Payload payload, LogImage onDisk, Collection<SimVolume> volumes) {
    long[] stamps = onDisk.stamps(payload);
    return !onDisk.isMoved(payload)
        && volumes.stream().anyMatch(volume -> volume.model.mayHold((int) payload.block(), stamps));
  }

  private void note(Payload payload, LogImage onDisk) {
    if (!onDisk.isMoved(payload)) {
      damaged.add((int) payload.block(), onDisk.stamps(payload));
    }
  }
}
