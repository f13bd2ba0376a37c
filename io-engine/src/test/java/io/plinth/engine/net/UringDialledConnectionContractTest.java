package io.plinth.engine.net;

import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.uring.UringDriver;
import java.net.InetAddress;
import java.net.ServerSocket;

/** The contract of connections, kept by those that a core has dialled. */
class UringDialledConnectionContractTest extends ConnectionContractTest {
  @Override
  protected DriverFactory driverFactory() {
    return core -> new UringDriver(64);
  }

  @Override
  protected Peer connect(String address) throws Exception {
    try (ServerSocket client = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      dial("127.0.0.1:" + client.getLocalPort());
      return UringConnectionContractTest.peer(client.accept());
    }
  }
}
