package io.plinth.tools.attach;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.plinth.tools.attach.AttachException.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SocketDiallerTest {
  private static final String GREETING = "4e42444d4147494349484156454f50540003";
  private static final String UNKNOWN = "0003e889045565a9000000078000000600000000";
  private static final String EXPORT =
      "0003e889045565a900000007000000030000000c00000000000040000000016d";
  private static final String ACK = "0003e889045565a9000000070000000100000000";

  /** Serves one connection: says all at once, and returns how many bytes it heard until the end. */
  private static CompletableFuture<Integer> serve(ServerSocket listener, String says) {
    return CompletableFuture.supplyAsync(() -> {
      try (Socket socket = listener.accept()) {
        socket.getOutputStream().write(HexFormat.of().parseHex(says));
        InputStream in = socket.getInputStream();
        return in.readAllBytes().length;
      } catch (IOException e) {
        return -1;
      }
    });
  }

  private static ServerSocket listen() throws IOException {
    return new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
  }

  private static String address(ServerSocket listener) {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  static long openSockets() throws IOException {
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      return descriptors.filter(SocketDiallerTest::isSocket).count();
    }
  }

  private static boolean isSocket(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().startsWith("socket:");
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void aLinkIsASocketThatStaysOpenUntilItIsClosed() throws Exception {
    try (ServerSocket listener = listen()) {
      CompletableFuture<Integer> server = serve(listener, GREETING + EXPORT + ACK);
      Link link = new SocketDialler().dial(address(listener), "demo");
      assertThat(link.export().sizeBytes()).isEqualTo(1L << 30);
      assertThat(Path.of("/proc/self/fd/" + link.descriptor())).isSymbolicLink();
      assertThat(server).isNotDone();
      link.close();
      // Client flags, the header of GO, and its data.
      assertThat(server.get()).isEqualTo(4 + 16 + 14);
    }
  }

  @Test
  void failuresCloseTheirSockets() throws Exception {
    try (ServerSocket listener = listen()) {
      String address = address(listener);
      long before = openSockets();
      for (int i = 0; i < 20; i++) {
        CompletableFuture<Integer> server = serve(listener, GREETING + UNKNOWN);
        assertThat(fail(address).kind()).isEqualTo(Kind.NOT_FOUND);
        assertThat(server.get()).isEqualTo(34);
      }
      assertThat(openSockets()).isEqualTo(before);
    }
  }

  @Test
  void whoDoesNotListenCantBeReached() throws Exception {
    String address;
    try (ServerSocket listener = listen()) {
      address = address(listener);
    }
    long before = openSockets();
    assertThat(fail(address)).hasMessage(address + ": connection refused");
    assertThat(fail(address).kind()).isEqualTo(Kind.UNREACHABLE);
    assertThat(fail("unix:/nonexistent/socket"))
        .hasMessage("unix:/nonexistent/socket: no such socket");
    assertThat(fail("no-such-host.invalid:1").kind()).isEqualTo(Kind.UNREACHABLE);
    assertThat(openSockets()).isEqualTo(before);
  }

  private static AttachException fail(String address) {
    return catchThrowableOfType(
        AttachException.class, () -> new SocketDialler().dial(address, "demo"));
  }
}
