package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.it.NbdClient.Extent;
import io.plinth.tools.it.NbdClient.Status;
import io.plinth.tools.nbd.Nbd;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * A snapshot is deleted while clients have selected what has changed since. They are told with EIO,
 * as the protocol wants it of a status that can't be had, and everything else of their connection
 * goes on.
 */
@Timeout(120)
class DeletedSnapshotIT {
  private static final int BLOCK = 4096;
  private static final int VOLUME_BYTES = 64 << 20;
  private static final String ALLOCATION = "base:allocation";
  private static final String DIFF = "plinth:snapshot-diff:s";
  private static final String BITMAP = "qemu:dirty-bitmap:s";
  private static final List<String> CONTEXTS = List.of(ALLOCATION, DIFF, BITMAP);

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private PlinthProcess server;

  @BeforeEach
  void serve() throws Exception {
    server = servers.serve(directory.resolve("data"), "--volume", "demo=64M");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      write(client, 0, 1, 2, 3);
      server.cli("volume", "snapshot", "create", "demo", "s");
      write(client, 2, 700);
    }
  }

  @Test
  void theStatusIsRefusedAndTheConnectionGoesOn() throws Exception {
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo", CONTEXTS);
        NbdClient other = NbdClient.connect(server.nbd(), "demo", List.of(ALLOCATION))) {
      Status before = client.status(0, VOLUME_BYTES);
      assertThat(changed(before, DIFF)).containsExactly(2L, 700L);
      assertThat(changed(before, BITMAP)).containsExactly(2L, 700L);

      server.cli("volume", "snapshot", "delete", "demo", "s");
      for (int i = 0; i < 3; i++) {
        assertRefused(client.status((long) i * BLOCK, BLOCK));
        assertThat(other.status(0, BLOCK).error()).isZero();
      }

      // One of the same name is another one.
      server.cli("volume", "snapshot", "create", "demo", "s");
      try (NbdClient writer = NbdClient.connect(server.nbd(), "demo")) {
        write(writer, 5);
      }
      assertRefused(client.status(0, VOLUME_BYTES));
      try (NbdClient later = NbdClient.connect(server.nbd(), "demo", CONTEXTS)) {
        assertThat(changed(later.status(0, VOLUME_BYTES), DIFF)).containsExactly(5L);
      }
    }
    assertThat(server.log()).doesNotContain("[ERROR]", "Exception");
    assertThat(server.terminate()).isZero();
  }

  @Test
  void aSnapshotThatIsComparedWithADeletedOneStaysReadable() throws Exception {
    server.cli("volume", "snapshot", "create", "demo", "later");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo@later", CONTEXTS);
        NbdClient reader = NbdClient.connect(server.nbd(), "demo@later")) {
      assertThat(changed(client.status(0, VOLUME_BYTES), DIFF)).containsExactly(2L, 700L);
      server.cli("volume", "snapshot", "delete", "demo", "s");
      assertRefused(client.status(0, VOLUME_BYTES));
      byte[] found = new byte[BLOCK];
      assertThat(reader.read(700L * BLOCK, found, BLOCK)).isZero();
      Bytes.assertSame("block 700", found, content(700));
    }
  }

  /** At whatever moment of an answer it is deleted: the truth until then, and EIO from then on. */
  @Test
  void requestsUnderWayGetTheTruthOrAnError() throws Exception {
    try (ExecutorService executor = Executors.newSingleThreadExecutor();
        NbdClient writer = NbdClient.connect(server.nbd(), "demo")) {
      for (int round = 0; round < 3; round++) {
        CountDownLatch began = new CountDownLatch(20);
        Future<Integer> refused =
            executor.submit(() -> {
              try (NbdClient client = NbdClient.connect(server.nbd(), "demo", CONTEXTS)) {
                int count = 0;
                while (count < 100) {
                  Status status = client.status(0, VOLUME_BYTES);
                  if (status.error() == 0) {
                    assertThat(count).as("refused before").isZero();
                    assertThat(changed(status, DIFF)).containsExactly(2L, 700L);
                  } else {
                    assertRefused(status);
                    count++;
                  }
                  began.countDown();
                }
                return count;
              }
            });
        assertThat(began.await(30, TimeUnit.SECONDS)).isTrue();
        server.cli("volume", "snapshot", "delete", "demo", "s");
        assertThat(refused.get(60, TimeUnit.SECONDS)).isEqualTo(100);
        server.cli("volume", "snapshot", "create", "demo", "s");
        write(writer, 2, 700);
      }
    }
    assertThat(server.log()).doesNotContain("[ERROR]", "Exception");
  }

  private static void assertRefused(Status status) {
    assertThat(status.error()).isEqualTo(Nbd.EIO);
    assertThat(status.extents()).isEmpty();
  }

  /** Returns the blocks of which a context says that they were changed. */
  private static Set<Long> changed(Status status, String context) {
    assertThat(status.error()).isZero();
    assertThat(status.extents()).containsOnlyKeys(CONTEXTS);
    Set<Long> blocks = new TreeSet<>();
    long at = 0;
    for (Extent extent : status.extents().get(context)) {
      for (long i = at; extent.flags() != 0 && i < at + extent.length(); i += BLOCK) {
        blocks.add(i / BLOCK);
      }
      at += extent.length();
    }
    return blocks;
  }

  private static void write(NbdClient client, int... blocks) throws Exception {
    for (int block : blocks) {
      assertThat(client.write((long) block * BLOCK, content(block))).isZero();
    }
  }

  private static byte[] content(int block) {
    byte[] bytes = new byte[BLOCK];
    Arrays.fill(bytes, (byte) (block % 251 + 1));
    return bytes;
  }
}
