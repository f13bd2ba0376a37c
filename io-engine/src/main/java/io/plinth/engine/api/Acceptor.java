package io.plinth.engine.api;

/** Makes the session for each new connection of a listener. */
@FunctionalInterface
public interface Acceptor {
  /**
   * Returns the handler of the new connection, or null to refuse and close it. Called on the
   * listener's core.
   */
  ConnectionHandler onAccept(Connection connection);
}
