package io.plinth.engine.net;

import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.sim.MemoryDriver;
import java.io.ByteArrayOutputStream;

class MemoryConnectionContractTest extends ConnectionContractTest {
  private final MemoryDriver.Machine machine = new MemoryDriver.Machine();

  @Override
  protected DriverFactory driverFactory() {
    return core -> new MemoryDriver(machine, 64);
  }

  @Override
  protected Peer connect(String address) {
    MemoryDriver.Endpoint endpoint = machine.connect();
    return new Peer() {
      @Override
      public void send(byte[] bytes) throws InterruptedException {
        endpoint.send(bytes);
      }

      @Override
      public byte[] receive(int length) throws InterruptedException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        while (all.size() < length) {
          byte[] some = endpoint.receive(length - all.size());
          if (some.length == 0) {
            break;
          }
          all.writeBytes(some);
        }
        return all.toByteArray();
      }

      @Override
      public void close() {
        endpoint.close();
      }

      @Override
      public void reset() {
        endpoint.reset();
      }
    };
  }
}
