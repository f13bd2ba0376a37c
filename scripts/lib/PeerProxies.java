import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The ways between the nodes of scripts/dev-cluster: one proxy for each two nodes, direction and
 * core. As long as DIRECTORY has a file named like a node, that node is cut off: what it says and
 * what is said to it is held back, as a network does that is in pieces, and goes on its way when
 * the file is gone, if both ends still want it.
 *
 * <pre>java PeerProxies.java DIRECTORY FROM:TO:PORT:TARGET-PORT...</pre>
 */
final class PeerProxies {
  private static final int LOOK_MS = 20;
  private static final int CONNECT_MS = 1000;

  private PeerProxies() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    Path directory = Path.of(args[0]);
    for (int i = 1; i < args.length; i++) {
      String[] parts = args[i].split(":");
      Way way =
          new Way(
              directory.resolve(parts[0]),
              directory.resolve(parts[1]),
              new ServerSocket(Integer.parseInt(parts[2]), 64, InetAddress.getLoopbackAddress()),
              Integer.parseInt(parts[3]));
      Thread _ = Thread.ofVirtual().start(way::accept);
    }
    System.out.println("ready");
    Thread.currentThread().join();
  }

  private record Way(Path from, Path to, ServerSocket listener, int target) {
    void accept() {
      while (true) {
        try {
          Socket near = listener.accept();
          Thread _ = Thread.ofVirtual().start(() -> connect(near));
        } catch (IOException e) {
          // Too many open files, say: the next one may get through.
          pause();
        }
      }
    }

    private void connect(Socket near) {
      try (near;
          Socket far = new Socket()) {
        awaitWhole();
        far.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target), CONNECT_MS);
        near.setTcpNoDelay(true);
        far.setTcpNoDelay(true);
        Thread back = Thread.ofVirtual().start(() -> pass(far, near));
        pass(near, far);
        back.join();
      } catch (IOException | InterruptedException e) {
        // Whoever has connected finds the connection closed, and tries again.
        return;
      }
    }

    private void pass(Socket source, Socket sink) {
      byte[] buffer = new byte[64 << 10];
      try (source;
          sink) {
        InputStream in = source.getInputStream();
        OutputStream out = sink.getOutputStream();
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          awaitWhole();
          out.write(buffer, 0, n);
        }
        // An end is news as well.
        awaitWhole();
      } catch (IOException e) {
        // The other end learns of it by the close.
        return;
      }
    }

    private void awaitWhole() {
      while (Files.exists(from) || Files.exists(to)) {
        pause();
      }
    }

    private static void pause() {
      try {
        Thread.sleep(LOOK_MS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
