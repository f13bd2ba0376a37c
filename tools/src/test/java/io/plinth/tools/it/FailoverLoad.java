package io.plinth.tools.it;

import io.plinth.tools.it.WriteLedger.Write;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Writes to a volume of a cluster over several connections that know the addresses of all nodes:
 * who gets no answer, or an error, goes to the next one and sends again what was not acknowledged,
 * until it is. Everything that is acknowledged is written into a ledger.
 */
final class FailoverLoad {
  private static final int DEPTH = 8;
  private static final int MAX_SECTORS = 64;
  private static final int BACK_OFF_MS = 10;

  private final List<InetSocketAddress> addresses;
  private final String volume;
  private final WriteLedger ledger;
  private final int timeoutMs;
  private final List<Thread> threads = new ArrayList<>();
  private final CountDownLatch stopping = new CountDownLatch(1);
  private final AtomicLong acknowledged = new AtomicLong();
  private final AtomicLong cookies = new AtomicLong();
  private final AtomicLong moves = new AtomicLong();

  private volatile String problem = "none";

  /** When something was last acknowledged, and the longest time without that since it was asked. */
  private long lastNs;

  private long longestGapNs;

  /**
   * Begins.
   *
   * @param timeoutMs how long a connection waits for an answer before it goes to another node
   */
  FailoverLoad(
      List<InetSocketAddress> addresses,
      String volume,
      int connections,
      WriteLedger ledger,
      SplittableRandom random,
      int timeoutMs) {
    this.addresses = List.copyOf(addresses);
    this.volume = volume;
    this.ledger = ledger;
    this.timeoutMs = timeoutMs;
    this.lastNs = System.nanoTime();
    for (int i = 0; i < connections; i++) {
      SplittableRandom own = random.split();
      int first = i;
      Thread thread = new Thread(() -> run(first, own), "failover-load-" + i);
      // When a test has failed nobody waits for it.
      thread.setDaemon(true);
      threads.add(thread);
      thread.start();
    }
  }

  /** Returns the longest time without an acknowledgement since this was asked last. */
  synchronized long longestGapNs() {
    long gap = Math.max(longestGapNs, System.nanoTime() - lastNs);
    longestGapNs = 0;
    return gap;
  }

  /** Returns how far it has come, for messages. */
  @Override
  public String toString() {
    return acknowledged + " writes acknowledged, " + moves + " moves, the last problem: " + problem;
  }

  /** Returns how many writes were acknowledged. */
  long acknowledged() {
    return acknowledged.get();
  }

  /** Returns how often a connection went to another node. */
  long moves() {
    return moves.get();
  }

  /** Waits until everything that was sent is acknowledged, and stops. */
  void finish() throws InterruptedException {
    stopping.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
  }

  private boolean isStopping() {
    return stopping.getCount() == 0;
  }

  private void run(int first, SplittableRandom random) {
    Map<Long, Write> open = new HashMap<>();
    for (int at = first; !isStopping() || !open.isEmpty(); at++) {
      try (NbdClient client =
          NbdClient.connect(addresses.get(at % addresses.size()), volume, timeoutMs)) {
        work(client, open, random);
      } catch (IOException e) {
        moves.incrementAndGet();
        problem = addresses.get(at % addresses.size()) + ": " + e;
        try {
          // Not against a wall.
          boolean _ = new CountDownLatch(1).await(BACK_OFF_MS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException interrupted) {
          return;
        }
      }
    }
  }

  private void work(NbdClient client, Map<Long, Write> open, SplittableRandom random)
      throws IOException {
    byte[] buffer = new byte[MAX_SECTORS * WriteLedger.SECTOR];
    for (Map.Entry<Long, Write> again : open.entrySet()) {
      send(client, again.getKey(), again.getValue(), buffer);
    }
    while (!isStopping() || !open.isEmpty()) {
      while (!isStopping() && open.size() < DEPTH) {
        Write write = ledger.begin(random, random.nextInt(1, MAX_SECTORS + 1), false);
        long cookie = cookies.incrementAndGet();
        open.put(cookie, write);
        send(client, cookie, write, buffer);
      }
      client.flushOutput();
      NbdClient.Reply reply = client.readReply();
      if (reply.error() != 0) {
        throw new IOException("error " + reply.error());
      }
      ledger.acknowledge(open.remove(reply.cookie()));
      noteAcknowledged();
    }
  }

  private synchronized void noteAcknowledged() {
    long now = System.nanoTime();
    longestGapNs = Math.max(longestGapNs, now - lastNs);
    lastNs = now;
    acknowledged.incrementAndGet();
  }

  private static void send(NbdClient client, long cookie, Write write, byte[] buffer)
      throws IOException {
    WriteLedger.fill(write, buffer);
    int flags = cookie % 50 == 0 ? Nbd.FUA : 0;
    client.sendWrite(flags, cookie, write.offset(), buffer, write.bytes());
  }
}
