package io.plinth.tools.simulator;

import io.plinth.engine.api.Status;
import io.plinth.target.volume.ExtentList;
import io.plinth.target.volume.Operation;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.concurrent.CompletableFuture;

/** Looks at the whole of volumes and snapshots, one request after the other. */
final class VolumeReader {
  private static final int READ_SECTORS = 64;
  private static final int BLOCK_SECTORS = VolumeModel.SECTORS_PER_BLOCK;

  private final SimNode sim;
  private final SimClient client;

  VolumeReader(SimNode sim, SimClient client) {
    this.sim = sim;
    this.client = client;
  }

  /** Judges what a volume is after a crash; a change on its way has happened as a whole or not. */
  void recover(SimVolume volume, boolean power) {
    long bytes = volume.handle.sizeBytes();
    VolumeModel before = volume.model;
    VolumeModel after = volume.next;
    volume.next = null;
    Found found = new Found((int) (bytes / SimRequest.SECTOR_BYTES));
    found.read(volume, null);
    if (after == null || !hasSize(after, bytes)) {
      before.recovered(power, found.stamps, found.failed);
      return;
    }
    try {
      after.recovered(power, found.stamps, found.failed);
      volume.model = after;
    } catch (Violation e) {
      if (!hasSize(before, bytes)) {
        throw e;
      }
      before.recovered(power, found.stamps, found.failed);
    }
  }

  private static boolean hasSize(VolumeModel model, long bytes) {
    return (long) model.sectors() * SimRequest.SECTOR_BYTES == bytes;
  }

  /** Finds out what a snapshot or clone is that has just been made, where that is open. */
  void settleCopy(SimVolume volume) {
    Found found = new Found(volume.model.sectors());
    System.arraycopy(volume.model.stamps(), 0, found.stamps, 0, found.stamps.length);
    found.read(volume, volume.model);
    volume.model.copied(found.stamps, found.failed);
  }

  /** Reads all of a volume without a crash before it. */
  void readThrough(SimVolume volume) {
    for (int first = 0; first < volume.model.sectors(); first += READ_SECTORS) {
      client.beginRead(volume, first, Math.min(READ_SECTORS, volume.model.sectors() - first));
      client.finish();
    }
  }

  /** Returns what is allocated, as a string to compare. */
  String allocation(SimVolume volume) {
    StringBuilder result = new StringBuilder();
    long run = 0;
    int state = -1;
    // An answer may be about less than was asked for.
    for (long at = 0; at < volume.sizeBytes(); ) {
      int sector = (int) (at / SimRequest.SECTOR_BYTES);
      SimRequest request =
          new SimRequest(Operation.BLOCK_STATUS, sector, volume.model.sectors() - sector, 0);
      if (sim.run(volume.handle, request) != Status.OK) {
        throw new Violation(Guarantee.PROGRESS, "BLOCK_STATUS failed");
      }
      client.countOperation();
      ExtentList extents = request.extents(0);
      if (extents.count() == 0) {
        throw new Violation(Guarantee.PROGRESS, "BLOCK_STATUS answers nothing");
      }
      for (int i = 0; i < extents.count(); i++) {
        at += extents.length(i);
        if (extents.state(i) != state) {
          result.append(run).append(':').append(state).append(' ');
          run = 0;
        }
        run += extents.length(i);
        state = extents.state(i);
      }
    }
    result.append(run).append(':').append(state).append(' ');
    CompletableFuture<Long> mapped = sim.node().mappedBytes(volume.handle);
    sim.await(mapped::isDone);
    return result.append(mapped.resultNow()).toString();
  }

  /** What was found in a volume. */
  private final class Found {
    final long[] stamps;
    final boolean[] failed;

    Found(int sectors) {
      stamps = new long[sectors];
      failed = new boolean[(sectors + BLOCK_SECTORS - 1) / BLOCK_SECTORS];
    }

    /**
     * Reads a volume, block by block where that fails.
     *
     * @param open of which only what is ambiguous is read; null for everything
     */
    void read(SimVolume volume, VolumeModel open) {
      for (int first = 0; first < stamps.length; first += READ_SECTORS) {
        int end = Math.min(stamps.length, first + READ_SECTORS);
        if ((open != null && !open.isAmbiguous(first, end - first)) || read(volume, first, end)) {
          continue;
        }
        for (int at = first; at < end; at += BLOCK_SECTORS) {
          failed[at / BLOCK_SECTORS] = !read(volume, at, Math.min(end, at + BLOCK_SECTORS));
        }
      }
    }

    /** Reads sectors; returns false when that fails with EIO. */
    private boolean read(SimVolume volume, int first, int end) {
      SimRequest request = new SimRequest(Operation.READ, first, end - first, 0);
      int status = sim.run(volume.handle, request);
      client.countOperation();
      if (status == Status.EIO) {
        return false;
      }
      if (status != Status.OK) {
        throw new Violation(
            Guarantee.PROGRESS, "READ of " + volume.name + " failed with " + Status.name(status));
      }
      System.arraycopy(request.takeStamps(), 0, stamps, first, end - first);
      return true;
    }
  }
}
