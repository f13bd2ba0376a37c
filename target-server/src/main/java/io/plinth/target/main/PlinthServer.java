package io.plinth.target.main;

/**
 * A running server: cores, volumes, front ends and admin API, put together from a configuration.
 */
public final class PlinthServer {
  private PlinthServer() {}

  /**
   * Starts a server and returns when clients can attach.
   *
   * @throws StartupException when it cannot serve, with one line that says why
   */
  public static PlinthServer start(ServerConfig config) throws StartupException {
    throw new StartupException("the server for " + config.dataDir() + " is not wired yet");
  }

  /**
   * Returns the line that tells a person, or the program that started this one, where clients
   * attach.
   */
  public String readyLine() {
    throw new IllegalStateException("not wired");
  }

  /** Waits until the server has ended, by {@link #stop} or by a failure. */
  public void awaitTermination() throws InterruptedException {
    throw new IllegalStateException("not wired");
  }

  /**
   * Finishes what is in flight, syncs and ends the server; returns when that is done. May be called
   * more than once.
   */
  public void stop() {
    throw new IllegalStateException("not wired");
  }
}
