package io.plinth.engine.uring;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.core.DriverException;
import io.plinth.engine.core.IoDriver;
import io.plinth.engine.core.IoDriverContractTest;
import io.plinth.engine.memory.Posix;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class UringDriverContractTest extends IoDriverContractTest {
  private static final int AF_INET = 2;

  @TempDir private Path folder;
  private final List<Integer> descriptors = new ArrayList<>();
  private final List<Socket> sockets = new ArrayList<>();
  private int files;

  @AfterEach
  void closeAll() throws IOException {
    for (Socket socket : sockets) {
      socket.close();
    }
    descriptors.forEach(Posix::close);
  }

  @Override
  protected IoDriver createDriver() throws DriverException {
    return new UringDriver(SLOTS);
  }

  @Override
  protected int openFile(byte[] content) throws IOException {
    return open(content, Posix.O_RDWR);
  }

  @Override
  protected int openFileForReading(byte[] content) throws IOException {
    return open(content, Posix.O_RDONLY);
  }

  @Override
  protected int listen() {
    int descriptor = Posix.streamSocket(AF_INET);
    descriptors.add(descriptor);
    assertThat(
            Posix.bind(
                descriptor, new byte[] {AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}))
        .isZero();
    assertThat(Posix.listen(descriptor, 16)).isZero();
    return descriptor;
  }

  @Override
  protected int socket() {
    int descriptor = Posix.streamSocket(AF_INET);
    descriptors.add(descriptor);
    return descriptor;
  }

  @Override
  protected byte[] addressOf(int listener) {
    byte[] name = new byte[16];
    Posix.localName(listener, name);
    return name;
  }

  @Override
  protected Peer connect(int listener) throws IOException {
    byte[] name = addressOf(listener);
    int port = (name[2] & 0xFF) << 8 | (name[3] & 0xFF);
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
    sockets.add(socket);
    return new Peer() {
      @Override
      public void send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
      }

      @Override
      public byte[] receive(int length) throws IOException {
        return socket.getInputStream().readNBytes(length);
      }

      @Override
      public void close() throws IOException {
        socket.close();
      }
    };
  }

  private int open(byte[] content, int flags) throws IOException {
    Path file = folder.resolve("file-" + files++);
    Files.write(file, content);
    int descriptor = Posix.open(file.toString(), flags, 0);
    assertThat(descriptor).isNotNegative();
    return descriptor;
  }
}
