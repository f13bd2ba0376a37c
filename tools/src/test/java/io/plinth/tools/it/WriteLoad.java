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
import java.util.concurrent.Semaphore;

/**
 * Writes to a volume over several connections, many requests in flight on each, until the server
 * goes away. Everything that happens is written into a ledger.
 */
final class WriteLoad {
  private static final int DEPTH = 16;
  private static final int MAX_BYTES = 4 << 20;
  private static final long FLUSH_COOKIE = -1;

  private final WriteLedger ledger;
  private final Semaphore acknowledged = new Semaphore(0);
  private final List<Thread> threads = new ArrayList<>();
  private final List<String> refusals = new ArrayList<>();

  private WriteLoad(WriteLedger ledger) {
    this.ledger = ledger;
  }

  static WriteLoad start(
      InetSocketAddress address,
      String volume,
      int connections,
      WriteLedger ledger,
      SplittableRandom random) {
    WriteLoad load = new WriteLoad(ledger);
    for (int i = 0; i < connections; i++) {
      SplittableRandom own = random.split();
      Thread thread = new Thread(() -> load.run(address, volume, own), "load-" + i);
      load.threads.add(thread);
      thread.start();
    }
    return load;
  }

  /** Returns how far it has come, for messages. */
  @Override
  public String toString() {
    long running = threads.stream().filter(Thread::isAlive).count();
    return running + " connections at work, " + acknowledged.availablePermits() + " permits left";
  }

  /** Has a permit for each acknowledged write. */
  Semaphore acknowledged() {
    return acknowledged;
  }

  /** Waits until every connection has ended; returns what was refused with an error. */
  List<String> awaitEnd() throws InterruptedException {
    for (Thread thread : threads) {
      thread.join();
    }
    synchronized (refusals) {
      return List.copyOf(refusals);
    }
  }

  private void run(InetSocketAddress address, String volume, SplittableRandom random) {
    Map<Long, Write> open = new HashMap<>();
    byte[] buffer = new byte[MAX_BYTES];
    try (NbdClient client = NbdClient.connect(address, volume)) {
      for (long cookie = 0; ; cookie++) {
        if (random.nextInt(100) == 0) {
          client.send(Nbd.FLUSH, 0, FLUSH_COOKIE, 0, 0);
        }
        Write write = ledger.begin(random, sectors(random), random.nextInt(40) == 0);
        open.put(cookie, write);
        send(client, cookie, write, random.nextInt(50) == 0 ? Nbd.FUA : 0, buffer);
        while (open.size() >= DEPTH || client.hasInput()) {
          client.flushOutput();
          if (!take(client.readReply(), open)) {
            return;
          }
        }
      }
    } catch (IOException e) {
      // The server is gone, which is the point; what is open stays so in the ledger.
      return;
    }
  }

  private static void send(NbdClient client, long cookie, Write write, int flags, byte[] buffer)
      throws IOException {
    if (write.number() == 0) {
      client.send(Nbd.WRITE_ZEROES, flags, cookie, write.offset(), write.bytes());
    } else {
      WriteLedger.fill(write, buffer);
      client.sendWrite(flags, cookie, write.offset(), buffer, write.bytes());
    }
  }

  /** Returns whether to go on: not after an error, when what is open stays so in the ledger. */
  private boolean take(NbdClient.Reply reply, Map<Long, Write> open) {
    if (reply.error() != 0) {
      synchronized (refusals) {
        refusals.add("error " + reply.error() + " for " + open.get(reply.cookie()));
      }
      return false;
    }
    if (reply.cookie() != FLUSH_COOKIE) {
      ledger.acknowledge(open.remove(reply.cookie()));
      acknowledged.release();
    }
    return true;
  }

  /** Mostly small requests, off the 4 KiB grid too, and now and then a very large one. */
  private static int sectors(SplittableRandom random) {
    int kind = random.nextInt(100);
    if (kind < 35) {
      return 8;
    }
    if (kind < 70) {
      return random.nextInt(1, 33);
    }
    if (kind < 98) {
      return random.nextInt(8, 257);
    }
    return random.nextInt(1, MAX_BYTES / WriteLedger.SECTOR + 1);
  }
}
