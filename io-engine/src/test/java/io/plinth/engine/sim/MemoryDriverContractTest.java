package io.plinth.engine.sim;

import io.plinth.engine.core.IoDriver;
import io.plinth.engine.core.IoDriverContractTest;
import java.io.ByteArrayOutputStream;

class MemoryDriverContractTest extends IoDriverContractTest {
  private final MemoryDriver.Machine machine = new MemoryDriver.Machine();

  @Override
  protected IoDriver createDriver() {
    return new MemoryDriver(machine, SLOTS);
  }

  @Override
  protected int openFile(byte[] content) {
    return machine.openFile(content);
  }

  @Override
  protected int openFileForReading(byte[] content) {
    return machine.openFileForReading(content);
  }

  @Override
  protected int listen() {
    return machine.listen();
  }

  @Override
  protected int socket() {
    return machine.socket();
  }

  @Override
  protected byte[] addressOf(int listener) {
    return new byte[16];
  }

  @Override
  protected Peer connect(int listener) {
    MemoryDriver.Endpoint endpoint = machine.connect(listener);
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
    };
  }
}
