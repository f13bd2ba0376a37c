package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Listening sockets that whoever starts the server has made. */
@Timeout(180)
class SocketActivationIT {
  /**
   * Makes sockets of the kinds named by its arguments, puts them from 3 on, and becomes a command.
   */
  private static final String HAND_OVER =
      """
      import fcntl, os, socket, sys
      end = sys.argv.index("--")
      made = []
      for kind in sys.argv[1:end]:
          if kind.startswith("unix:"):
              made.append(socket.socket(socket.AF_UNIX)); made[-1].bind(kind[5:]); made[-1].listen()
          elif kind == "tcp6":
              made.append(socket.socket(socket.AF_INET6)); made[-1].bind(("::1", 0)); made[-1].listen()
          elif kind == "udp":
              made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
          elif kind == "deaf":
              made.append(socket.socket())
          elif kind == "file":
              made.append(open("/dev/null"))
          else:
              made.append(socket.socket())
              made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
              made[-1].bind(("127.0.0.1", int(kind))); made[-1].listen()
      for one in made:
          os.set_blocking(one.fileno(), False)
      copies = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for one in made]
      # Up from where descriptors of this program may be, and back in order.
      os.closerange(3, 100)
      for i, fd in enumerate(copies):
          os.dup2(fd, 3 + i, inheritable=True)
      os.closerange(100, 200)
      os.environ["LISTEN_PID"] = str(os.getpid())
      os.environ["LISTEN_FDS"] = str(len(made))
      os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
      """;

  /** Keeps one socket, and asks two servers over it, the second of which finds a client waiting. */
  private static final String KEEPER =
      """
      import os, signal, socket, sys
      listener = socket.socket()
      listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      listener.bind(("127.0.0.1", int(sys.argv[1])))
      listener.listen()
      for i in range(2):
          client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
          pid = os.fork()
          if pid == 0:
              os.dup2(listener.fileno(), 3)
              os.set_inheritable(3, True)
              os.environ["LISTEN_PID"] = str(os.getpid())
              os.environ["LISTEN_FDS"] = "1"
              os.execvp(sys.argv[2], sys.argv[2:])
          client.settimeout(60)
          assert client.recv(8) == b"NBDMAGIC"
          os.kill(pid, signal.SIGTERM)
          assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
          client.close()
      print("served twice")
      """;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private List<String> handOver(String... kinds) {
    List<String> command = new ArrayList<>(List.of("python3", "-c", HAND_OVER));
    command.addAll(List.of(kinds));
    command.add("--");
    return command;
  }

  private PlinthProcess serve(List<String> through, String log, String... more) throws Exception {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "serve",
                "--data",
                directory.resolve("data").toString(),
                "--volume",
                "demo=64M",
                "--admin",
                "127.0.0.1:0"));
    arguments.addAll(List.of(more));
    return servers.through(through, directory.resolve(log), arguments.toArray(new String[0]));
  }

  @Test
  void tcpAndUnixSocketsAreServed() throws Exception {
    int port = freePort();
    Path socket = directory.resolve("nbd.sock");
    for (int i = 0; i < 2; i++) {
      PlinthProcess server =
          serve(handOver(Integer.toString(port), "tcp6", "unix:" + socket), "server" + i + ".log");
      String tcp = "nbd://127.0.0.1:" + port + "/demo";
      assertThat(sizeOnceItListens(tcp)).isEqualTo("67108864");
      assertThat(Shell.ok(60, "nbdinfo", "--size", "nbd+unix:///demo?socket=" + socket))
          .isEqualTo("67108864");
      assertThat(server.terminate()).isZero();
      assertThat(server.output()).isEmpty();
      assertThat(server.log())
          .containsPattern(
              "ready: NBD on 127.0.0.1:" + port + ", \\[.*1\\]:[0-9]+, unix:" + socket + "; ");
      Files.delete(socket);
    }
  }

  @Test
  void theSocketsGoOnListeningWhenTheServerHasEnded() throws Exception {
    int port = freePort();
    List<String> command =
        new ArrayList<>(
            List.of(
                "env",
                "PLINTH_NO_BUILD=1",
                "python3",
                "-c",
                KEEPER,
                Integer.toString(port),
                PlinthProcess.root().resolve("scripts/plinth").toString(),
                "serve",
                "--data",
                directory.resolve("data").toString(),
                "--volume",
                "demo=64M",
                "--admin",
                "127.0.0.1:0"));
    assertThat(Shell.ok(90, command.toArray(new String[0]))).contains("served twice");
  }

  @Test
  void nbdinfoStartsAServerOfItsOwnAndEndsIt() throws Exception {
    String[] command = {
      "env",
      "PLINTH_NO_BUILD=1",
      "nbdinfo",
      "--json",
      "--",
      "[",
      PlinthProcess.root().resolve("scripts/plinth").toString(),
      "serve",
      "--data",
      directory.resolve("data").toString(),
      "--volume",
      "demo=64M",
      "--admin",
      "127.0.0.1:0",
      "]"
    };
    assertThat(Shell.ok(60, command)).contains("\"export-size\": 67108864");
    Path log = directory.resolve("inspect.log");
    PlinthProcess inspect = servers.exactly(log, "inspect", directory.resolve("data").toString());
    assertThat(inspect.awaitExit()).isZero();
    assertThat(String.join("\n", inspect.output())).contains("closed in order");
  }

  @Test
  void whatIsNoListeningSocketIsRefusedInOneLine() throws Exception {
    assertRefused("can't serve an inherited socket: descriptor 3 is not a socket", "file");
    assertRefused("can't serve an inherited socket: descriptor 3 is not a stream socket", "udp");
    assertRefused("can't serve an inherited socket: descriptor 3 does not listen", "deaf");
    PlinthProcess both = serve(handOver("0"), "both.log", "--nbd", "127.0.0.1:0");
    assertThat(both.awaitExit()).isEqualTo(2);
    assertThat(both.log())
        .isEqualTo(
            "plinth: options --nbd and --nbd-unix exclude sockets that are handed over"
                + " (LISTEN_FDS=1): leave them out\n");
  }

  private void assertRefused(String line, String kind) throws Exception {
    PlinthProcess server = serve(handOver(kind), kind + ".log");
    assertThat(server.awaitExit()).isEqualTo(2);
    assertThat(server.log()).isEqualTo("plinth: " + line + "\n");
    assertThat(server.output()).isEmpty();
  }

  /** Asks until there is a socket; whoever connects before the server is ready waits. */
  private static String sizeOnceItListens(String uri) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    Shell.Result result;
    do {
      result = Shell.run(60, "nbdinfo", "--size", uri);
    } while (result.exitCode() != 0 && System.nanoTime() - end < 0);
    return result.output();
  }

  private static int freePort() throws Exception {
    try (ServerSocket socket = new ServerSocket()) {
      socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      return socket.getLocalPort();
    }
  }
}
