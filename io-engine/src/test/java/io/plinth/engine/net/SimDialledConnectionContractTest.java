package io.plinth.engine.net;

/** The contract of connections, kept by those that {@code SimHost} has dialled. */
class SimDialledConnectionContractTest extends SimConnectionContractTest {
  @Override
  protected Peer connect(String address) {
    try {
      return awaitDial("client");
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
