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

/** SIGTERM: what is in flight is finished, everything is synced. */
class RestartIT {
  private static final int VOLUME_BYTES = 128 << 20;
  private static final int WRITES = 1000;
  private static final int ROUNDS = 3;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  @Timeout(120)
  void sigtermUnderLoadEndsInOrderAndLosesNothing() throws Exception {
    long seed = Long.getLong("plinth.seed", 20260101);
    String replay = "replay with -Dit.test=RestartIT -Dplinth.seed=" + seed;
    SplittableRandom random = new SplittableRandom(seed);
    WriteLedger ledger = new WriteLedger(VOLUME_BYTES / WriteLedger.SECTOR);
    PlinthProcess server = serve();
    for (int round = 1; round <= ROUNDS; round++) {
      WriteLoad load = WriteLoad.start(server.nbd(), "demo", 4, ledger, random.split());
      assertThat(load.acknowledged().tryAcquire(WRITES, 60, TimeUnit.SECONDS))
          .as("%s writes acknowledged in round %s, %s; %s", WRITES, round, load, replay)
          .isTrue();
      assertThat(server.terminate()).as("exit code; %s", replay).isZero();
      assertThat(load.awaitEnd()).as(replay).allMatch(refusal -> refusal.startsWith("error 108"));

      server = serve();
      assertThat(server.readyLine())
          .as(replay)
          .matches(
              ".*; log-0: closed in order; [0-9]+ segments, [0-9]+ batches, [0-9]+ records,"
                  + " nothing cut");
      try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
        List<String> faults =
            ledger.verify((offset, data, length) ->
                assertThat(client.read(offset, data, length)).as("at %s", offset).isZero());
        assertThat(faults.stream().limit(20).toList())
            .as("%s faults in round %s; %s", faults.size(), round, replay)
            .isEmpty();
      }
    }
  }

  @Test
  void dataAndTheSetOfVolumesSurvive() throws Exception {
    PlinthProcess first = serve();
    first.cli("volume", "create", "second", "64M");
    first.cli("volume", "create", "third", "64M");
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "write -P 0x77 5M 3M", first.uri("second"));
    first.cli("volume", "delete", "third");
    assertThat(first.terminate()).isZero();

    PlinthProcess again = serve();
    assertThat(again.readyLine()).contains("log-0: closed in order", "nothing cut");
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "read -P 0x77 5M 3M", again.uri("second"));
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "read -P 0 0 5M", again.uri("second"));
    assertThat(again.volume("second").get("mappedBytes").asLong()).isEqualTo(3L << 20);
    assertThat(again.tryCli("volume", "show", "third").exitCode()).isEqualTo(1);
  }

  private PlinthProcess serve() throws Exception {
    return servers.serve(directory.resolve("data"), "--volume", "demo=128M");
  }
}
