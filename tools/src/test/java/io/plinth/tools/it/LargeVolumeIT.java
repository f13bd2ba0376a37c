package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * Ten mapped gibibytes: how soon they are there again after kill -9, and what their index takes.
 */
@Tag("long")
class LargeVolumeIT {
  private static final int BLOCK = 4096;
  private static final int MIB = 1 << 20;
  private static final int VOLUME_MIB = 10 << 10;
  private static final long BLOCKS = VOLUME_MIB * (long) MIB / BLOCK;
  private static final int DEPTH = 32;

  /** Random overwrites before each kill: up to more than what lies between two checkpoints. */
  private static final int[] OVERWRITES = {0, 50_000, 150_000, 300_000};

  /** DESIGN section 11: 3 GiB for each mapped TiB are 12 bytes for each block. */
  private static final double INDEX_BYTES_PER_BLOCK = 12;

  private static final long FIRST_IO_MS = 3000;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final byte[] data = new byte[MIB];
  private final byte[] block = new byte[BLOCK];
  private final byte[] found = new byte[BLOCK];
  private final int[] versions = new int[(int) BLOCKS];
  private final SplittableRandom random = new SplittableRandom(10);

  @Test
  @Timeout(600)
  void tenGibibytesAreThereAgainWithinThreeSeconds() throws Exception {
    PlinthProcess server = serve();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      fill(client);
    }
    for (int overwrites : OVERWRITES) {
      try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
        overwrite(client, overwrites);
      }
      server.kill();
      long startNs = System.nanoTime();
      server = serve();
      try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
        check(client, 0);
        long firstMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - startNs);
        double perBlock = server.status().at("/logs/0/indexBytes").asDouble() / BLOCKS;
        System.out.printf(
            "LargeVolumeIT: %d overwrites, kill -9: first read %d ms after the start, index %.1f bytes for each block,"
                + " resident without the log %d MiB; %s%n",
            overwrites,
            firstMs,
            perBlock,
            server.anonymousBytes() >> 20,
            server.readyLine().substring(server.readyLine().indexOf("log-0")));
        assertThat(firstMs).isLessThan(FIRST_IO_MS);
        assertThat(perBlock).isBetween(1.0, INDEX_BYTES_PER_BLOCK);
        for (int i = 0; i < 20_000; i++) {
          check(client, random.nextInt((int) BLOCKS));
        }
      }
    }
  }

  private PlinthProcess serve() throws Exception {
    return servers.serve(directory.resolve("data"), "--volume", "demo=" + VOLUME_MIB + "M");
  }

  private void fill(NbdClient client) throws Exception {
    for (int at = 0; at < VOLUME_MIB; at++) {
      for (int i = 0; i < MIB; i += BLOCK) {
        content(at * (MIB / BLOCK) + i / BLOCK);
        System.arraycopy(block, 0, data, i, BLOCK);
      }
      assertThat(client.write((long) at * MIB, data)).isZero();
    }
  }

  private void overwrite(NbdClient client, int count) throws Exception {
    int answered = 0;
    for (int i = 0; i < count; i++) {
      int number = random.nextInt((int) BLOCKS);
      versions[number]++;
      content(number);
      client.sendWrite(0, i, (long) number * BLOCK, block, BLOCK);
      if (i - answered == DEPTH - 1) {
        client.flushOutput();
        for (; answered <= i; answered++) {
          assertThat(client.readReply().error()).isZero();
        }
      }
    }
    client.flushOutput();
    for (; answered < count; answered++) {
      assertThat(client.readReply().error()).isZero();
    }
  }

  private void check(NbdClient client, int number) throws Exception {
    content(number);
    assertThat(client.read((long) number * BLOCK, found, BLOCK)).isZero();
    Bytes.assertSame("block " + number, found, block);
  }

  private void content(int number) {
    ByteBuffer.wrap(block).putInt(0, number).putInt(4, versions[number]).putInt(BLOCK - 4, ~number);
  }
}
