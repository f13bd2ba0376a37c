package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimDisk;
import io.plinth.tools.simulator.disk.LogImage.Header;
import java.util.Arrays;

/** A bit of a header that has flipped on a disk, until it is flipped back. */
final class RottenHeader {
  private final SimDisk disk;
  private final Header header;
  private final int at;
  private final int bit;
  private final byte[] rotten;

  /** Flips a bit of a durable header. */
  RottenHeader(SimDisk disk, Header header, int at, int bit) {
    this.disk = disk;
    this.header = header;
    this.at = header.offset() + at;
    this.bit = bit;
    disk.rotBit(header.slot(), this.at, bit);
    rotten = onDisk();
  }

  private byte[] onDisk() {
    return disk.diskContent(header.slot(), header.offset(), header.bytes());
  }

  /** Returns whether the disk holds it as it rotted, and nothing else was written since. */
  boolean isThere() {
    return disk.slots().contains(header.slot()) && Arrays.equals(rotten, onDisk());
  }

  /** Puts the right header back where the rotten one is. */
  void mend() {
    if (isThere()) {
      disk.mendBit(header.slot(), at, bit);
    }
  }
}
