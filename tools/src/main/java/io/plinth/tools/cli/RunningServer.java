package io.plinth.tools.cli;

import io.plinth.target.main.PlinthServer;
import io.plinth.target.main.ServerConfig;
import io.plinth.target.main.StartupException;

/** What {@code plinth serve} needs of a server. */
interface RunningServer {
  /** Starts a server. */
  @FunctionalInterface
  interface Starter {
    /**
     * Returns when clients can attach.
     *
     * @throws StartupException when the server refuses to start
     */
    RunningServer start(ServerConfig config) throws StartupException;
  }

  /** Returns the line for standard output that tells where clients attach. */
  String readyLine();

  /** Returns when the server has ended. */
  void awaitTermination() throws InterruptedException;

  /** Ends the server cleanly; returns when that is done. */
  void stop();

  /** Starts the real one. */
  static RunningServer start(ServerConfig config) throws StartupException {
    PlinthServer server = PlinthServer.start(config);
    return new RunningServer() {
      @Override
      public String readyLine() {
        return server.readyLine();
      }

      @Override
      public void awaitTermination() throws InterruptedException {
        server.awaitTermination();
      }

      @Override
      public void stop() {
        server.stop();
      }
    };
  }
}
