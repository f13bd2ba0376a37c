package io.plinth.tools.it;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Writes a volume over and over, a stripe with each request, so that what a copy of the volume
 * holds can be judged: each stripe must be of one generation, as a write is there as a whole or not
 * at all, and not older than what was acknowledged before the copy, nor newer than what was begun.
 */
final class StripeLoad {
  static final int STRIPE_BYTES = 32 << 10;

  private static final int DEPTH = 16;
  private static final int LONGS = STRIPE_BYTES / Long.BYTES;
  private static final long MIX = 0x9e3779b97f4a7c15L;

  private final AtomicLongArray begun;
  private final AtomicLongArray acknowledged;
  private final Semaphore writes = new Semaphore(0);
  private final List<Thread> threads = new ArrayList<>();
  private final List<String> failures = new ArrayList<>();
  private volatile boolean stopping;

  private StripeLoad(int stripes) {
    begun = new AtomicLongArray(stripes);
    acknowledged = new AtomicLongArray(stripes);
  }

  static StripeLoad start(
      InetSocketAddress address, String volume, int volumeBytes, int connections) {
    StripeLoad load = new StripeLoad(volumeBytes / STRIPE_BYTES);
    for (int i = 0; i < connections; i++) {
      int first = i;
      Thread thread =
          new Thread(() -> load.run(address, volume, first, connections), "stripes-" + i);
      load.threads.add(thread);
      thread.start();
    }
    return load;
  }

  /** Has a permit for each acknowledged write. */
  Semaphore writes() {
    return writes;
  }

  /** Returns the generation of each stripe that was acknowledged. */
  long[] acknowledged() {
    return copy(acknowledged);
  }

  /** Returns the generation of each stripe that was begun. */
  long[] begun() {
    return copy(begun);
  }

  private static long[] copy(AtomicLongArray array) {
    long[] values = new long[array.length()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i);
    }
    return values;
  }

  /** Ends the load; returns what went wrong in it. */
  List<String> stop() throws InterruptedException {
    stopping = true;
    for (Thread thread : threads) {
      thread.join();
    }
    synchronized (failures) {
      return List.copyOf(failures);
    }
  }

  private void run(InetSocketAddress address, String volume, int first, int step) {
    byte[] buffer = new byte[STRIPE_BYTES];
    try (NbdClient client = NbdClient.connect(address, volume)) {
      int open = 0;
      for (int stripe = first; !stopping; stripe += step) {
        stripe = stripe < begun.length() ? stripe : first;
        fill(stripe, begun.incrementAndGet(stripe), buffer);
        client.sendWrite(0, stripe, (long) stripe * STRIPE_BYTES, buffer, STRIPE_BYTES);
        open++;
        if (open == DEPTH) {
          take(client);
          open--;
        }
      }
      for (; open > 0; open--) {
        take(client);
      }
    } catch (IOException e) {
      synchronized (failures) {
        failures.add(e.toString());
      }
    }
  }

  private void take(NbdClient client) throws IOException {
    client.flushOutput();
    NbdClient.Reply reply = client.readReply();
    if (reply.error() != 0) {
      throw new IOException("write of stripe " + reply.cookie() + " failed: " + reply.error());
    }
    acknowledged.incrementAndGet((int) reply.cookie());
    writes.release();
  }

  private static void fill(int stripe, long generation, byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < LONGS; i++) {
      buffer.putLong(word(stripe, generation, i));
    }
  }

  private static long word(int stripe, long generation, int i) {
    return i == 0 || generation == 0 ? generation : generation * MIX + ((long) stripe << 32) + i;
  }

  /**
   * Judges a copy of the volume.
   *
   * @param atLeast the generations that must be there, or newer ones
   * @param atMost the newest generations that can be there
   * @return what is wrong; empty when all is well
   */
  static List<String> judge(ByteBuffer copy, long[] atLeast, long[] atMost) {
    List<String> faults = new ArrayList<>();
    ByteBuffer buffer = copy.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    for (int stripe = 0; stripe < atLeast.length; stripe++) {
      int at = stripe * STRIPE_BYTES;
      long generation = buffer.getLong(at);
      for (int i = 1; i < LONGS; i++) {
        if (buffer.getLong(at + i * Long.BYTES) != word(stripe, generation, i)) {
          faults.add("stripe " + stripe + " is mixed at byte " + i * Long.BYTES);
          break;
        }
      }
      if (generation < atLeast[stripe] || generation > atMost[stripe]) {
        faults.add(
            "stripe "
                + stripe
                + " is of generation "
                + generation
                + ", expected "
                + atLeast[stripe]
                + " to "
                + atMost[stripe]);
      }
    }
    return faults;
  }
}
