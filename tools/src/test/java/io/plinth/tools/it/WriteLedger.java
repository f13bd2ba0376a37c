package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * What a volume must hold: for each sector the newest acknowledged write, and the writes that were
 * in flight. Ranges in flight never overlap, so each sector has at most one of these. Zeroes are
 * the content of write number 0.
 */
final class WriteLedger {
  static final int SECTOR = 512;

  /** A volume may be without a leader for a moment. */
  private static final int MOST_TRIES = 200;

  private static final int LONGS = SECTOR / Long.BYTES;
  private static final long MIX_NUMBER = 0x9e3779b97f4a7c15L;
  private static final long MIX_SECTOR = 0xbf58476d1ce4e5b9L;
  private static final long MIX_PLACE = 0x94d049bb133111ebL;

  private final long[] acknowledged;
  private final List<Write> inFlight = new ArrayList<>();
  private long lastNumber;
  private long acknowledgedWrites;

  /** One request; number 0 writes zeroes. */
  record Write(long number, int firstSector, int sectors) {
    boolean overlaps(Write other) {
      return firstSector < other.firstSector + other.sectors
          && other.firstSector < firstSector + sectors;
    }

    long offset() {
      return (long) firstSector * SECTOR;
    }

    int bytes() {
      return sectors * SECTOR;
    }
  }

  WriteLedger(int sectors) {
    acknowledged = new long[sectors];
  }

  /** Takes a range of {@code sectors} that nobody is writing. */
  synchronized Write begin(SplittableRandom random, int sectors, boolean zeroes) {
    while (true) {
      int first = random.nextInt(acknowledged.length - sectors + 1);
      Write write = new Write(zeroes ? 0 : lastNumber + 1, first, sectors);
      if (inFlight.stream().noneMatch(write::overlaps)) {
        lastNumber++;
        inFlight.add(write);
        return write;
      }
    }
  }

  synchronized void acknowledge(Write write) {
    inFlight.remove(write);
    Arrays.fill(
        acknowledged, write.firstSector(), write.firstSector() + write.sectors(), write.number());
    acknowledgedWrites++;
  }

  synchronized long acknowledgedWrites() {
    return acknowledgedWrites;
  }

  synchronized int unacknowledged() {
    return inFlight.size();
  }

  /** Fills a buffer with the content of a write. */
  static void fill(Write write, byte[] data) {
    ByteBuffer buffer = ByteBuffer.wrap(data).order(ByteOrder.nativeOrder());
    for (int i = 0; i < write.sectors(); i++) {
      fillSector(write.number(), write.firstSector() + i, buffer);
    }
  }

  private static void fillSector(long number, int sector, ByteBuffer buffer) {
    buffer.putLong(number);
    long seed = number * MIX_NUMBER + sector * MIX_SECTOR;
    for (int i = 1; i < LONGS; i++) {
      buffer.putLong(seed + i * MIX_PLACE);
    }
  }

  /**
   * Compares the whole volume with what may be there, and takes what is there as the state from now
   * on.
   *
   * @param reader reads sectors into a buffer
   * @return what is wrong; empty when all is well
   */
  synchronized List<String> verify(SectorReader reader) throws IOException {
    List<String> faults = new ArrayList<>();
    int[] pending = new int[acknowledged.length];
    int[] applied = new int[inFlight.size()];
    int[] kept = new int[inFlight.size()];
    for (int i = 0; i < inFlight.size(); i++) {
      Write write = inFlight.get(i);
      Arrays.fill(pending, write.firstSector(), write.firstSector() + write.sectors(), i + 1);
    }
    ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.nativeOrder());
    int step = buffer.capacity() / SECTOR;
    for (int first = 0; first < acknowledged.length; first += step) {
      int count = Math.min(step, acknowledged.length - first);
      reader.read((long) first * SECTOR, buffer.array(), count * SECTOR);
      for (int i = 0; i < count; i++) {
        check(first + i, buffer.position(i * SECTOR), pending, applied, kept, faults);
      }
    }
    for (int i = 0; i < inFlight.size(); i++) {
      if (applied[i] > 0 && kept[i] > 0) {
        faults.add(
            inFlight.get(i)
                + " is there in part: "
                + applied[i]
                + " sectors yes, "
                + kept[i]
                + " no");
      }
    }
    inFlight.clear();
    return faults;
  }

  private void check(
      int sector,
      ByteBuffer buffer,
      int[] pending,
      int[] applied,
      int[] kept,
      List<String> faults) {
    long found = buffer.getLong(buffer.position());
    long expected = acknowledged[sector];
    int write = pending[sector] - 1;
    if (!isContentOf(found, sector, buffer)) {
      faults.add("sector " + sector + " holds no whole write; stamped " + found);
    } else if (write >= 0 && found == inFlight.get(write).number()) {
      // Zeroes over zeroes tell nothing about whether they were applied.
      applied[write] += found == expected ? 0 : 1;
    } else if (found == expected) {
      if (write >= 0) {
        kept[write]++;
      }
    } else {
      faults.add(
          "sector "
              + sector
              + " holds write "
              + found
              + ", not "
              + expected
              + (write < 0 ? "" : " or " + inFlight.get(write)));
    }
    acknowledged[sector] = found;
  }

  private static boolean isContentOf(long number, int sector, ByteBuffer buffer) {
    int at = buffer.position() + Long.BYTES;
    long seed = number * MIX_NUMBER + sector * MIX_SECTOR;
    for (int i = 1; i < LONGS; i++, at += Long.BYTES) {
      long expected = number == 0 ? 0 : seed + i * MIX_PLACE;
      if (buffer.getLong(at) != expected) {
        return false;
      }
    }
    return true;
  }

  /** Reads bytes of the volume. */
  @FunctionalInterface
  interface SectorReader {
    void read(long offset, byte[] data, int length) throws IOException;
  }

  /**
   * Reads everything from whoever answers, and fails when something is not as it should be.
   *
   * @param addresses nodes that serve the volume; some may be dead
   * @param when for the message
   */
  void requireAt(List<InetSocketAddress> addresses, String volume, int timeoutMs, String when)
      throws IOException {
    List<String> faults =
        verify((offset, data, length) -> {
          IOException last = null;
          for (int i = 0; i < MOST_TRIES; i++) {
            InetSocketAddress address = addresses.get(i % addresses.size());
            try (NbdClient client = NbdClient.connect(address, volume, timeoutMs)) {
              if (client.read(offset, data, length) == 0) {
                return;
              }
            } catch (IOException e) {
              last = e;
            }
          }
          throw new IOException("nobody answers", last);
        });
    assertThat(faults.stream().limit(20).toList())
        .as("%s: %s faults", when, faults.size())
        .isEmpty();
  }
}
