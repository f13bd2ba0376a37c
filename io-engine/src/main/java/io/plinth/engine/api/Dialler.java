package io.plinth.engine.api;

/** Opens connections from one core, on its thread. */
@FunctionalInterface
public interface Dialler {
  /**
   * Begins to connect.
   *
   * @param address as people write it: {@code HOST:PORT} or {@code unix:PATH}
   * @param connector told exactly once, never from inside this call, if this returns true
   * @return false when no more can be tried at present: nothing happens
   */
  boolean connect(String address, Connector connector);
}
