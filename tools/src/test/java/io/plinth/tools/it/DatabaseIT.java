package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * PostgreSQL on a file system on a replicated volume: leaders are killed under it without a client
 * of the database noticing more than a pause; then the database and the node that its file system
 * is attached through die together, and what it had committed is there when it recovers through
 * another node (G3).
 */
@Tag("long")
class DatabaseIT {
  private static final int ROUNDS = Integer.getInteger("plinth.database.rounds", 4);
  private static final int FRONT = 3;
  private static final int COMMITS = 200;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  /** Where the database's own user may go. */
  private Path open;

  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    if (cluster != null) {
      cluster.close();
    }
  }

  @Test
  @Timeout(600)
  void nothingThatWasCommittedIsLostWhenLeadersDie() throws Exception {
    open =
        Files.createTempDirectory(
            Path.of("/tmp"),
            "plinth-db",
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
    cluster = new TestCluster(servers, directory, 3);
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "db", "1G");
    CommitLedger ledger;
    Database database;
    try (Attached attached = new Attached("front", FRONT);
        LoopDevice loop = attached.loop()) {
      Shell.ok(60, "mkfs.ext4", "-q", "-F", loop.path());
      try (Mount mount = Mount.device(open.resolve("mnt"), loop.path(), "defaults")) {
        database = new Database(mount.path().resolve("pg"), open);
        database.initialize();
        database.start();
        Shell.ok(120, database.command("pgbench", "-i", "-q", "-s", "5", "postgres"));
        ledger = new CommitLedger(database, 4);
        Process pgbench = database.pgbench(open.resolve("pgbench.log"));
        for (int round = 1; round <= ROUNDS; round++) {
          killTheLeader(round, ledger);
        }
        assertThat(pgbench.isAlive()).as("pgbench goes on").isTrue();
        assertThat(Files.readString(open.resolve("pgbench.log"))).doesNotContain("abort", "error");
        // All at once: what the kernel still holds of the file system goes nowhere.
        database.kill();
        cluster.node(FRONT).kill();
        attached.end();
        assertThat(pgbench.waitFor(60, TimeUnit.SECONDS)).isTrue();
        ledger.stop();
        database.awaitEnd();
      }
    }
    try (Attached attached = new Attached("survivor", 1);
        LoopDevice loop = attached.loop();
        Mount _ = Mount.device(open.resolve("mnt"), loop.path(), "defaults")) {
      database.start();
      ledger.check();
      assertThat(
              database.query(
                  "SELECT (SELECT sum(abalance) FROM pgbench_accounts),"
                      + " (SELECT sum(bbalance) FROM pgbench_branches),"
                      + " (SELECT sum(delta) FROM pgbench_history)"))
          .as("pgbench's three sums of what it has moved")
          .matches("(-?[0-9]+)\\|\\1\\|\\1");
      Shell.ok(
          120, database.command("pg_amcheck", "--install-missing", "--heapallindexed", "postgres"));
      database.stop();
    }
    Shell.ok(10, "rm", "-r", open.toString());
  }

  private void killTheLeader(int round, CommitLedger ledger) throws Exception {
    awaitCommits(ledger, COMMITS);
    int leader = leaderBesidesTheFront();
    cluster.awaitLevel("db");
    long _ = ledger.longestGapNs();
    cluster.node(leader).kill();
    awaitCommits(ledger, COMMITS);
    System.out.printf(
        "DatabaseIT: round %d: node %d, the leader, is killed: %d ms without a commit, %d commits%n",
        round, leader, TimeUnit.NANOSECONDS.toMillis(ledger.longestGapNs()), ledger.acknowledged());
    cluster.launch(leader);
    String _ = cluster.node(leader).readyLine();
    awaitCommits(ledger, COMMITS);
  }

  private static void awaitCommits(CommitLedger ledger, int more) throws Exception {
    long enough = ledger.acknowledged() + more;
    assertThat(TestCluster.await(60, () -> ledger.acknowledged() >= enough))
        .as("%s more commits; %s", more, ledger)
        .isTrue();
  }

  /** The node that the file system is attached through is to live; so another one is to lead. */
  private int leaderBesidesTheFront() throws Exception {
    int[] leader = new int[1];
    boolean found =
        TestCluster.await(
            60,
            () -> {
              leader[0] = cluster.leader(FRONT, "db");
              if (leader[0] == FRONT) {
                Shell.Result _ =
                    cluster.node(FRONT).tryCli("volume", "move-leader", "db", "--to", "1");
              }
              return leader[0] != 0 && leader[0] != FRONT;
            });
    assertThat(found).as("another node than %s leads", FRONT).isTrue();
    return leader[0];
  }

  /** A volume by a client that connects again when its connection ends, as a kernel does. */
  private final class Attached implements AutoCloseable {
    private final Path folder;
    private final Path socket;
    private final Process nbdkit;

    Attached(String name, int node) throws IOException {
      folder = Files.createDirectory(directory.resolve(name));
      socket = folder.resolve("sock");
      InetSocketAddress nbd = cluster.nbd(node);
      nbdkit =
          Shell.start(
              590,
              List.of(
                  "nbdkit",
                  "-f",
                  "-U",
                  socket.toString(),
                  "--filter=retry",
                  "nbd",
                  "uri=nbd://" + nbd.getHostString() + ":" + nbd.getPort() + "/db",
                  "retries=60",
                  "retry-delay=1",
                  "retry-exponential=no"));
    }

    LoopDevice loop() throws IOException {
      Shell.ok(20, "sh", "-c", "until test -S \"$1\"; do :; done", "await", socket.toString());
      return new LoopDevice(580, folder.resolve("fuse"), "nbd+unix:///?socket=" + socket);
    }

    /** Ends at once: what is asked for from now on fails. */
    void end() {
      nbdkit.descendants().forEach(ProcessHandle::destroyForcibly);
      nbdkit.destroyForcibly();
    }

    @Override
    public void close() {
      end();
    }
  }
}
