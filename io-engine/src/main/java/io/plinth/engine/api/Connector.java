package io.plinth.engine.api;

/** Told once how an attempt to connect has ended, on the core that began it. */
public interface Connector {
  /**
   * The connection is there.
   *
   * @return its handler, or null to close it at once
   */
  ConnectionHandler onConnected(Connection connection);

  /**
   * There will be none.
   *
   * @param status the negated errno
   */
  void onConnectFailed(int status);
}
