package io.plinth.engine.net;

import io.plinth.engine.memory.NativeMemory;

/**
 * The memory of the connections of one core: for each a receive buffer, an output ring for small
 * pieces and the arrays that describe a gathered write. Address space for all of them is reserved
 * at start; pages are committed when first used and go back to the kernel with the connection. So
 * the memory in use follows from the connections that there are, not from all that ever were, and
 * no connection finds what another one has left.
 */
final class ConnectionMemory {
  static final int RECEIVE_BYTES = 128 * 1024;
  static final int OUTPUT_BYTES = 64 * 1024;

  /**
   * Ranges that a connection can have queued; also the most that one gathered write takes ({@code
   * IOV_MAX} is 1024).
   */
  static final int VECTORS = 512;

  static final int VECTOR_BYTES = 16;

  /** Size of {@code struct msghdr} on 64-bit Linux. */
  static final int MESSAGE_HEADER_BYTES = 56;

  private static final int VECTOR_ARRAY_BYTES = VECTORS * VECTOR_BYTES;
  private static final int BLOCK_BYTES =
      RECEIVE_BYTES + OUTPUT_BYTES + ((VECTOR_ARRAY_BYTES + MESSAGE_HEADER_BYTES + 4095) & -4096);

  private final NativeMemory memory;
  private final int[] free;
  private int freeCount;

  ConnectionMemory(int connections) {
    memory = NativeMemory.reserve((long) connections * BLOCK_BYTES);
    free = new int[connections];
    for (int i = 0; i < connections; i++) {
      free[i] = connections - 1 - i;
    }
    freeCount = connections;
  }

  /** Returns the number of a free block, or -1. */
  int acquire() {
    return freeCount == 0 ? -1 : free[--freeCount];
  }

  /** Takes a block back; whoever gets it next finds zeroes. */
  void release(int block) {
    // A system call of some microseconds, less than closing the socket takes. Should the kernel
    // refuse, the pages stay, and are in use again with the next connection.
    boolean _ = memory.discard((long) block * BLOCK_BYTES, BLOCK_BYTES);
    free[freeCount++] = block;
  }

  int inUse() {
    return free.length - freeCount;
  }

  long receiveAddress(int block) {
    return memory.address() + (long) block * BLOCK_BYTES;
  }

  long outputAddress(int block) {
    return receiveAddress(block) + RECEIVE_BYTES;
  }

  long vectorAddress(int block) {
    return outputAddress(block) + OUTPUT_BYTES;
  }

  long messageHeaderAddress(int block) {
    return vectorAddress(block) + VECTOR_ARRAY_BYTES;
  }

  void close() {
    memory.close();
  }
}
