package io.plinth.bench.compare;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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

  /** What is durable before it is acknowledged. */
  private static final String ALWAYS = "plinth-always";

  /** Three nodes of Plinth, and replicas on all of them. */
  private static final String CLUSTER = "plinth-cluster";

  private static final String CLUSTER_ALWAYS = "plinth-cluster-always";

  /** The kinds of server that are compared unless others are named, with Plinth first. */
  static final List<String> USUAL = List.of("plinth", "nbdkit", "qemu-nbd", "nbd-server");

  private static final List<String> OURS =
      List.of("plinth", BEFORE, ALWAYS, CLUSTER, CLUSTER_ALWAYS);

  /** Ports of the nodes of a cluster: see {@code scripts/dev-cluster}. */
  private static final int CLUSTER_NBD = 10_820;

  private static final int CLUSTER_ADMIN = 10_920;

  /** Returns whether a kind of server is a version of Plinth, which is filled anew each time. */
  static boolean isOurs(String name) {
    return OURS.contains(name);
  }

  private static boolean isCluster(String name) {
    return name.startsWith(CLUSTER);
  }

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
          case CLUSTER, CLUSTER_ALWAYS ->
              List.of(
                  root.resolve("scripts/dev-cluster").toString(),
                  "run",
                  "--data",
                  folder.resolve("plinth-data").toString());
          case ALWAYS -> {
            Path config = folder.resolve("plinth.toml");
            Files.writeString(
                config,
                "data-dir = \"plinth-data\"\nnbd.listen = [\"127.0.0.1:"
                    + port
                    + "\"]\nadmin.listen = \"127.0.0.1:0\"\n[engine]\nflush-policy = \"always\"\n"
                    + "[[volume]]\nname = \"demo\"\nsize = \"1G\"\n");
            yield List.of(
                root.resolve("scripts/plinth").toString(), "serve", "--config", config.toString());
          }
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
    if (isCluster(name)) {
      return new Peer(name, clusterPort(root, name, started, folder), started.toHandle());
    }
    Peer peer =
        new Peer(
            name, port, name.equals("nbd-server") ? daemon(started, folder) : started.toHandle());
    peer.awaitListening();
    return peer;
  }

  /** Makes the volume when the cluster is ready, and returns the port of the node that leads it. */
  private static int clusterPort(Path root, String name, Process cluster, Path folder)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + START_TIMEOUT_NS;
    Path log = folder.resolve(name + ".log");
    while (!Files.readString(log).contains("ready:")) {
      if (!cluster.isAlive() || System.nanoTime() > deadline) {
        throw new IOException("the cluster does not start: " + Files.readString(log));
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MS);
    }
    String policy = name.equals(CLUSTER_ALWAYS) ? "always" : "flush";
    String _ = cli(root, "volume", "create", "demo", "1G", "--flush-policy", policy);
    Pattern leader = Pattern.compile("\"leader\"\\s*:\\s*([0-9])");
    while (System.nanoTime() < deadline) {
      Matcher found = leader.matcher(cli(root, "volume", "show", "demo", "--json"));
      if (found.find()) {
        return CLUSTER_NBD + Integer.parseInt(found.group(1));
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MS);
    }
    throw new IOException("the volume has no leader");
  }

  private static String cli(Path root, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(root.resolve("scripts/plinth").toString());
    command.addAll(List.of(arguments));
    command.addAll(List.of("--admin", "127.0.0.1:" + (CLUSTER_ADMIN + 1)));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + ": " + output);
    }
    return output;
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
