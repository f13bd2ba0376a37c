package io.plinth.log.wire;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Status;
import java.io.ByteArrayOutputStream;
import org.agrona.DirectBuffer;

/** The end of a connection that keeps all bytes. */
final class Collector implements ConnectionHandler {
  private final ByteArrayOutputStream received = new ByteArrayOutputStream();
  String closed;

  byte[] take() {
    byte[] bytes = received.toByteArray();
    received.reset();
    return bytes;
  }

  int size() {
    return received.size();
  }

  @Override
  public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
    byte[] bytes = new byte[length];
    buffer.getBytes(offset, bytes);
    received.writeBytes(bytes);
    return length;
  }

  @Override
  public void onDirectReceived(Connection from) {
    throw new IllegalStateException("not asked for");
  }

  @Override
  public void onWritable(Connection from) {}

  @Override
  public void onClosed(Connection from, int reason) {
    closed = Status.name(reason);
  }
}
