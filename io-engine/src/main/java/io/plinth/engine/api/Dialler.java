package io.plinth.engine.api;

import java.util.concurrent.TimeUnit;

/**
 * Opens connections from one core, on its thread. They keep the same rules as those that were
 * accepted.
 */
@FunctionalInterface
public interface Dialler {
  /** An attempt that takes longer fails with {@link Status#ETIMEDOUT}. */
  long CONNECT_TIMEOUT_NS = TimeUnit.MILLISECONDS.toNanos(500);

  /**
   * Begins to connect. Closing all connections of the core ends the attempt with {@link
   * Status#ESHUTDOWN}.
   *
   * @param address as people write it: {@code HOST:PORT} or {@code unix:PATH}. A host is the number
   *     of an interface and no name: looking one up takes longer than a core may. Else the attempt
   *     fails with {@link Status#EINVAL}
   * @param connector told exactly once, never from inside this call, if this returns true
   * @return false when no more can be tried at present: nothing happens
   */
  boolean connect(String address, Connector connector);
}
