package io.plinth.tools.simulator;

import io.plinth.engine.sim.Fault;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.tools.simulator.LogImage.Header;
import io.plinth.tools.simulator.LogImage.Payload;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.Collection;
import java.util.List;

/** Damages what is durable on a disk, and tells the models which reads may fail from then on. */
final class DiskDamage {
  private static final int BLOCK = 4096;
  private static final int BITS = 8;

  private final SimRandom random;
  private final SimDisk disk;
  private Header rotten;
  private int rottenOffset;
  private int rottenBit;

  DiskDamage(SimRandom random, SimDisk disk) {
    this.random = random;
    this.disk = disk;
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
    // Now and then something that is read no more: then no read may fail.
    boolean live = !random.oneIn(8);
    List<Payload> candidates =
        onDisk.payloads().stream()
            .filter(payload -> payload.sequence() <= onDisk.knownDurable())
            .filter(payload -> onDisk.isNewest(payload) == live)
            .filter(payload -> disk.isSettled(payload.slot(), payload.offset()))
            .toList();
    if (candidates.isEmpty()) {
      return null;
    }
    Payload hit = candidates.get(random.nextInt(candidates.size()));
    Payload other = candidates.get(random.nextInt(candidates.size()));
    LogImage inCache = LogImage.ofCache(disk);
    int offset = hit.offset() + random.nextInt(BLOCK);
    switch (kind) {
      case BIT_ROT -> disk.rotBit(hit.slot(), offset, random.nextInt(BITS));
      case READ_ERROR -> disk.failReads(hit.slot(), hit.offset());
      case MISDIRECTED_WRITE -> {
        if (hit.equals(other)) {
          return null;
        }
        disk.misdirectWrite(hit.slot(), hit.offset(), other.slot(), other.offset());
        tell(other, inCache, live, volumes);
      }
      default -> throw new IllegalArgumentException("not damage: " + kind);
    }
    tell(hit, inCache, live, volumes);
    return kind.label() + " in " + (live ? "" : "overwritten ") + hit;
  }

  private static void tell(
      Payload payload, LogImage inCache, boolean live, Collection<SimVolume> volumes) {
    for (SimVolume volume : volumes) {
      if (live && volume.handle != null && volume.handle.group().id() == payload.name().group()) {
        volume.model.damage((int) payload.name().block(), inCache.isNewest(payload));
      }
    }
  }
}
