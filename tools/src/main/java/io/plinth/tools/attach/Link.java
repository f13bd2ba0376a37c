package io.plinth.tools.attach;

import io.plinth.engine.memory.Posix;

/**
 * A negotiated connection, to be handed to the kernel. The kernel keeps the socket: the descriptor
 * is closed here in any case.
 */
record Link(int descriptor, Export export, String server) implements AutoCloseable {
  @Override
  public void close() {
    int _ = Posix.close(descriptor);
  }
}
