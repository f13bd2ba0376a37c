package io.plinth.engine.net;

import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.uring.UringDriver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;

class UringConnectionContractTest extends ConnectionContractTest {
  @Override
  protected DriverFactory driverFactory() {
    return core -> new UringDriver(64);
  }

  @Override
  protected Peer connect(String address) throws IOException {
    int port = Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
    return peer(new Socket(InetAddress.getLoopbackAddress(), port));
  }

  static Peer peer(Socket socket) throws IOException {
    socket.setTcpNoDelay(true);
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

      @Override
      public void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
      }
    };
  }
}
