package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.memory.NativeMemory;
import java.io.IOException;
import java.io.RandomAccessFile;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class ConnectionMemoryTest {
  private static final int CONNECTIONS = 64;

  private final ConnectionMemory memory = new ConnectionMemory(CONNECTIONS);

  @AfterEach
  void close() {
    memory.close();
  }

  @Test
  void everyBlockIsHandedOutOnceAndAgainAfterItsRelease() {
    boolean[] seen = new boolean[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
      int block = memory.acquire();
      assertThat(seen[block]).as("block %s", block).isFalse();
      seen[block] = true;
    }
    assertThat(memory.acquire()).isEqualTo(-1);
    assertThat(memory.inUse()).isEqualTo(CONNECTIONS);
    memory.release(7);
    assertThat(memory.acquire()).isEqualTo(7);
  }

  @Test
  void aConnectionLeavesNothingToTheNextOne() {
    int block = memory.acquire();
    int other = memory.acquire();
    fill(block);
    fill(other);
    memory.release(block);
    assertThat(memory.acquire()).isEqualTo(block);
    assertThat(sum(block)).isZero();
    assertThat(sum(other)).isNotZero();
  }

  @Test
  void theMemoryOfClosedConnectionsGoesBackToTheKernel() throws IOException {
    int[] blocks = new int[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
      blocks[i] = memory.acquire();
      fill(blocks[i]);
    }
    long allKiB = residentKiB();
    assertThat(allKiB).isGreaterThanOrEqualTo(CONNECTIONS * 192L);
    for (int i = 1; i < CONNECTIONS; i++) {
      memory.release(blocks[i]);
    }
    assertThat(residentKiB()).isEqualTo(allKiB / CONNECTIONS);
  }

  private void fill(int block) {
    UnsafeApi.setMemory(memory.receiveAddress(block), sizeBytes(block), (byte) 1);
  }

  private long sum(int block) {
    long sum = 0;
    for (long i = 0; i < sizeBytes(block); i++) {
      sum += UnsafeApi.getByte(memory.receiveAddress(block) + i);
    }
    return sum;
  }

  private long sizeBytes(int block) {
    long end = memory.messageHeaderAddress(block) + ConnectionMemory.MESSAGE_HEADER_BYTES;
    long length = end - memory.receiveAddress(block);
    return (length + NativeMemory.PAGE_BYTES - 1) & -NativeMemory.PAGE_BYTES;
  }

  /** Counts the pages that are present, by what the kernel's table of them says (bit 63). */
  private long residentKiB() throws IOException {
    long firstPage = memory.receiveAddress(0) / NativeMemory.PAGE_BYTES;
    byte[] entries =
        new byte[(int) (CONNECTIONS * sizeBytes(0) / NativeMemory.PAGE_BYTES) * Long.BYTES];
    try (RandomAccessFile table = new RandomAccessFile("/proc/self/pagemap", "r")) {
      table.seek(firstPage * Long.BYTES);
      table.readFully(entries);
    }
    long pages = 0;
    for (int i = Long.BYTES - 1; i < entries.length; i += Long.BYTES) {
      pages += (entries[i] & 0xff) >>> 7;
    }
    return pages * NativeMemory.PAGE_BYTES / 1024;
  }
}
