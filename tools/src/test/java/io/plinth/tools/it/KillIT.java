package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** The process dies in the middle of everything (guarantees G3 and G4). */
class KillIT {
  private static final int ROUNDS = 20;
  private static final int CONNECTIONS = 4;
  private static final int VOLUME_BYTES = 256 << 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  @Timeout(240)
  void everyAcknowledgedWriteSurvivesTwentyKillsUnderLoad() throws Exception {
    long seed = Long.getLong("plinth.seed", System.nanoTime());
    String replay = "replay with -Dit.test=KillIT -Dplinth.seed=" + seed;
    System.out.println("KillIT: " + replay);
    SplittableRandom random = new SplittableRandom(seed);
    WriteLedger ledger = new WriteLedger(VOLUME_BYTES / WriteLedger.SECTOR);
    PlinthProcess server = start();
    for (int round = 1; round <= ROUNDS; round++) {
      WriteLoad load = WriteLoad.start(server.nbd(), "demo", CONNECTIONS, ledger, random.split());
      int enough = random.nextInt(200, 3000);
      assertThat(load.acknowledged().tryAcquire(enough, 60, TimeUnit.SECONDS))
          .as("%s writes acknowledged in round %s, %s; %s", enough, round, load, replay)
          .isTrue();
      server.kill();
      assertThat(load.awaitEnd()).as("errors in round %s; %s", round, replay).isEmpty();
      final int open = ledger.unacknowledged();

      server = start();
      assertThat(server.readyLine())
          .as(replay)
          .matches(
              ".*; log-0: the process was killed; [0-9]+ segments, [0-9]+ batches, [0-9]+ records,"
                  + " (nothing cut|unfinished tail of [0-9]+ bytes cut)");
      List<String> faults = verify(server, ledger);
      assertThat(faults.stream().limit(20).toList())
          .as("%s faults in round %s; %s", faults.size(), round, replay)
          .isEmpty();
      System.out.printf(
          "round %d: %d writes acknowledged so far, %d in flight, ready after %d ms; %s%n",
          round,
          ledger.acknowledgedWrites(),
          open,
          server.startMs(),
          server.readyLine().substring(server.readyLine().indexOf("log-0")));
    }
  }

  private PlinthProcess start() throws Exception {
    return servers.serve(directory.resolve("data"), "--volume", "demo=256M");
  }

  private static List<String> verify(PlinthProcess server, WriteLedger ledger) throws Exception {
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      return ledger.verify((offset, data, length) ->
          assertThat(client.read(offset, data, length)).as("read at %s", offset).isZero());
    }
  }
}
