package io.plinth.tools.attach;

/** Makes connections. */
@FunctionalInterface
interface Dialler {
  /**
   * Connects once and negotiates.
   *
   * @param server {@code HOST:PORT} or {@code unix:PATH}
   */
  Link dial(String server, String volume) throws AttachException;
}
