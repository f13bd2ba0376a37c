package io.plinth.bench.compare;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A server under comparison, as a process that this program starts and ends. */
final class Peer implements AutoCloseable {
  private static final long START_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(30);
  private static final long STOP_TIMEOUT_S = 30;
  private static final int CONNECT_TIMEOUT_MS = 1000;
  private static final int POLL_MS = 50;

  private final String name;
  private final int port;
  private final ProcessHandle process;

  private Peer(String name, int port, ProcessHandle process) {
    this.name = name;
    this.port = port;
    this.process = process;
  }

  /** Another version of Plinth. */
  static final String BEFORE = "before";

  /** The kinds of server, with Plinth first. */
  static final List<String> NAMES = List.of("plinth", "nbdkit", "qemu-nbd", "nbd-server", BEFORE);

  /**
   * Starts a server of a volume that has been filled, and waits until it listens.
   *
   * @param root the source tree of the version of Plinth
   * @param folder for images and data
   */
  static Peer start(String name, Path root, Path folder, int port)
      throws IOException, InterruptedException {
    Path image = folder.resolve("peer.img");
    List<String> command =
        switch (name) {
          case "plinth", BEFORE ->
              List.of(
                  root.resolve("scripts/plinth").toString(),
                  "serve",
                  "--data",
                  folder.resolve("plinth-data").toString(),
                  "--volume",
                  "demo=1G",
                  "--nbd",
                  "127.0.0.1:" + port,
                  "--admin",
                  "127.0.0.1:0");
          case "nbdkit" ->
              List.of("nbdkit", "-f", "-i", "127.0.0.1", "-p", "" + port, "file", image.toString());
          case "qemu-nbd" ->
              List.of(
                  "qemu-nbd",
                  "-f",
                  "raw",
                  "--cache=writeback",
                  "--aio=io_uring",
                  "-t",
                  "-e",
                  "8",
                  "-b",
                  "127.0.0.1",
                  "-p",
                  "" + port,
                  "-x",
                  "demo",
                  image.toString());
          case "nbd-server" -> {
            Path config = folder.resolve("nbd-server.conf");
            Files.writeString(
                config,
                "[generic]\nlistenaddr = 127.0.0.1\nport = "
                    + port
                    + "\n[demo]\nexportname = "
                    + image
                    + "\n");
            yield List.of("nbd-server", "-C", config.toString(), "-p", pidFile(folder).toString());
          }
          default -> throw new IllegalArgumentException("unknown server " + name);
        };
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.redirectErrorStream(true);
    builder.redirectOutput(folder.resolve(name + ".log").toFile());
    Process started = builder.start();
    Peer peer =
        new Peer(
            name, port, name.equals("nbd-server") ? daemon(started, folder) : started.toHandle());
    peer.awaitListening();
    return peer;
  }

  private static Path pidFile(Path folder) {
    return folder.resolve("nbd-server.pid");
  }

  /**
   * Without a debugger's flag nbd-server goes to the background, and serves one connection with it.
   */
  private static ProcessHandle daemon(Process launcher, Path folder)
      throws IOException, InterruptedException {
    launcher.waitFor();
    long deadline = System.nanoTime() + START_TIMEOUT_NS;
    while (System.nanoTime() < deadline) {
      if (Files.exists(pidFile(folder))) {
        String pid = Files.readString(pidFile(folder)).trim();
        if (!pid.isEmpty()) {
          Files.delete(pidFile(folder));
          return ProcessHandle.of(Long.parseLong(pid))
              .orElseThrow(() -> new IOException("nbd-server ended while starting"));
        }
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MS);
    }
    throw new IOException("nbd-server writes no pid file");
  }

  String name() {
    return name;
  }

  String address() {
    return "127.0.0.1:" + port;
  }

  /** Returns the export to ask for. */
  String export() {
    return name.equals("nbdkit") ? "" : "demo";
  }

  long pid() {
    return process.pid();
  }

  @Override
  public void close() throws IOException {
    process.destroy();
    try {
      process.onExit().get(STOP_TIMEOUT_S, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      process.destroyForcibly();
    } catch (ExecutionException | TimeoutException e) {
      process.destroyForcibly();
      throw new IOException(name + " did not end within " + STOP_TIMEOUT_S + " s", e);
    }
  }

  private void awaitListening() throws IOException, InterruptedException {
    long deadline = System.nanoTime() + START_TIMEOUT_NS;
    while (System.nanoTime() < deadline) {
      if (!process.isAlive()) {
        throw new IOException(name + " ended while starting");
      }
      try (Socket socket = new Socket()) {
        socket.connect(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), port), CONNECT_TIMEOUT_MS);
        return;
      } catch (IOException e) {
        TimeUnit.MILLISECONDS.sleep(POLL_MS);
      }
    }
    throw new IOException(name + " does not listen");
  }
}
