package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Clients of a database that commit one row after the other, and the newest that each was told to
 * be committed.
 */
final class CommitLedger {
  private final Database database;
  private final List<Thread> threads = new ArrayList<>();
  private final List<Process> clients = new ArrayList<>();
  private final AtomicLongArray committed;
  private final AtomicLong acknowledged = new AtomicLong();
  private volatile String problem = "none";
  private long lastNs = System.nanoTime();
  private long longestGapNs;

  CommitLedger(Database database, int count) throws IOException {
    this.database = database;
    committed = new AtomicLongArray(count);
    String _ = database.query("CREATE TABLE ledger (client int, number bigint)");
    for (int i = 0; i < count; i++) {
      int client = i;
      Process psql =
          new ProcessBuilder(database.command("psql", "-X", "-q", "-A", "-t", "postgres"))
              .redirectErrorStream(true)
              .start();
      clients.add(psql);
      Thread thread = new Thread(() -> run(client, psql), "ledger-" + i);
      thread.setDaemon(true);
      threads.add(thread);
      thread.start();
    }
  }

  private void run(int client, Process psql) {
    try (BufferedWriter to = psql.outputWriter();
        BufferedReader from = psql.inputReader()) {
      for (long number = 1; ; number++) {
        // psql shows a row when the command is complete, which is after the commit.
        to.write("INSERT INTO ledger VALUES (" + client + ", " + number + ") RETURNING number;\n");
        to.flush();
        String answer = from.readLine();
        if (!Long.toString(number).equals(answer)) {
          problem = "client " + client + " was answered: " + answer;
          return;
        }
        committed.set(client, number);
        noteCommitted();
      }
    } catch (IOException e) {
      problem = "client " + client + ": " + e;
    }
  }

  private synchronized void noteCommitted() {
    long now = System.nanoTime();
    longestGapNs = Math.max(longestGapNs, now - lastNs);
    lastNs = now;
    acknowledged.incrementAndGet();
  }

  /** Returns the longest time without a commit since this was asked last. */
  synchronized long longestGapNs() {
    long gap = Math.max(longestGapNs, System.nanoTime() - lastNs);
    longestGapNs = 0;
    return gap;
  }

  /** Returns how many commits there were. */
  long acknowledged() {
    return acknowledged.get();
  }

  /** Ends the clients. */
  void stop() throws InterruptedException {
    clients.forEach(Process::destroyForcibly);
    for (Thread thread : threads) {
      thread.join();
    }
  }

  /** Every row that a client was told of is there, and at most one more of each. */
  void check() throws IOException {
    for (int client = 0; client < committed.length(); client++) {
      String row =
          database.query(
              "SELECT count(*), coalesce(max(number), 0) FROM ledger WHERE client = " + client);
      long last = committed.get(client);
      assertThat(row)
          .as("rows of client %s, which was told of %s", client, last)
          .isIn(last + "|" + last, (last + 1) + "|" + (last + 1));
    }
  }

  /** Returns how far it has come, for messages. */
  @Override
  public String toString() {
    return acknowledged + " commits, the last problem: " + problem;
  }
}
