package io.plinth.engine.api;

/** A listening socket of one core. */
public interface Listener {
  /**
   * Returns the address as people write it, with the port that was really bound: {@code
   * 127.0.0.1:10809}, {@code unix:/run/x.sock}.
   */
  String address();

  /** Stops accepting and closes the socket; established connections go on. On the core's thread. */
  void close();
}
