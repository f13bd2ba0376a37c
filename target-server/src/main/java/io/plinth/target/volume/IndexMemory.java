package io.plinth.target.volume;

import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Pages of 4 KiB for the indexes of one core's volumes, outside the heap, named by number. Page
 * zero is never handed out.
 */
final class IndexMemory {
  static final int PAGE_BYTES = 4096;
  private static final int CHUNK_PAGES_SHIFT = 12;
  private static final int CHUNK_PAGES = 1 << CHUNK_PAGES_SHIFT;

  private final List<NativeMemory> chunks = new ArrayList<>();
  private long[] chunkAddresses = new long[16];
  private int[] free = new int[256];
  private int freeCount;
  private int nextPage = 1;
  private int used;

  /** Returns the number of a page that reads as zeroes. */
  int allocate() {
    used++;
    if (freeCount > 0) {
      int page = free[--freeCount];
      NativeMemory.zero(address(page), PAGE_BYTES);
      return page;
    }
    int page = nextPage++;
    int chunk = page >>> CHUNK_PAGES_SHIFT;
    if (chunk == chunks.size()) {
      NativeMemory memory = NativeMemory.reserve((long) CHUNK_PAGES * PAGE_BYTES);
      chunks.add(memory);
      if (chunk == chunkAddresses.length) {
        chunkAddresses = Arrays.copyOf(chunkAddresses, chunk * 2);
      }
      chunkAddresses[chunk] = memory.address();
    }
    return page;
  }

  void release(int page) {
    used--;
    if (freeCount == free.length) {
      free = Arrays.copyOf(free, freeCount * 2);
    }
    free[freeCount++] = page;
  }

  long address(int page) {
    return chunkAddresses[page >>> CHUNK_PAGES_SHIFT]
        + (long) (page & (CHUNK_PAGES - 1)) * PAGE_BYTES;
  }

  /** Returns how many bytes of pages are in use. */
  long usedBytes() {
    return (long) used * PAGE_BYTES;
  }

  void close() {
    for (NativeMemory chunk : chunks) {
      chunk.close();
    }
    chunks.clear();
  }
}
