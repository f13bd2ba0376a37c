package io.plinth.target.volume;

import io.plinth.engine.memory.NativeMemory;

/** A block of zeroes, read only by agreement. */
final class ZeroBlock {
  private static final NativeMemory MEMORY = NativeMemory.reserve(Volume.BLOCK_BYTES);

  /** Where it is. */
  static final long ADDRESS = MEMORY.address();

  private ZeroBlock() {}
}
