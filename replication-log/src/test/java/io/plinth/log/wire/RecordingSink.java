package io.plinth.log.wire;

import io.plinth.raft.core.Message;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.agrona.concurrent.UnsafeBuffer;

/** Writes down what comes in frames. */
final class RecordingSink implements FrameSink {
  final List<String> events = new ArrayList<>();
  boolean takes = true;

  @Override
  public void onMessage(int group, Message message) {
    events.add(group + " " + Samples.text(message));
  }

  @Override
  public void onSync(int group, long index) {
    events.add(group + " SYNC " + index);
  }

  @Override
  public boolean onAppend(AppendFrame frame) {
    if (takes) {
      events.add(text(frame.group(), frame.message(), frame));
    }
    return takes;
  }

  @Override
  public void onResync(ResyncFrame frame) {
    byte[] bytes = new byte[frame.bytes()];
    frame.body().getBytes(0, bytes);
    events.add(
        frame.group()
            + " RESYNC "
            + frame.kind()
            + " session "
            + frame.session()
            + " tree "
            + frame.tree()
            + " leaf "
            + frame.leaf()
            + " a "
            + frame.a()
            + " b "
            + frame.b()
            + " "
            + HexFormat.of().formatHex(bytes));
  }

  @Override
  public void onRefused(int frameType, int messageType, int peerVersion) {
    events.add("refused " + frameType + " " + messageType + " " + peerVersion);
  }

  @Override
  public void onUnknown(int frameType, int messageType) {
    events.add("unknown " + frameType + " " + messageType);
  }

  private static String text(int group, Message message, AppendFrame frame) {
    StringBuilder text = new StringBuilder();
    text.append(group).append(' ').append(Samples.text(message));
    EntryBody body = new EntryBody();
    while (frame.next(body)) {
      text.append(body(body));
    }
    return text.toString();
  }

  static String body(EntryBody body) {
    return " ["
        + body.type
        + " "
        + body.flags
        + " "
        + body.firstBlock
        + " "
        + body.count
        + " "
        + hex(body.trailerAddress, body.trailerBytes())
        + " "
        + hex(body.payloadAddress, body.payloadBytes())
        + "]";
  }

  /** Returns what an APPEND that was sent from samples reads like. */
  static String expected(int group, Message message, Samples samples) {
    StringBuilder text = new StringBuilder();
    text.append(group).append(' ').append(Samples.text(message));
    EntryBody body = new EntryBody();
    for (int i = 0; i < message.entryCount; i++) {
      if (!samples.describe(message.index + 1 + i, body)) {
        body.clear();
      }
      text.append(body(body));
    }
    return text.toString();
  }

  private static String hex(long address, int length) {
    if (length == 0) {
      return "";
    }
    byte[] bytes = new byte[length];
    new UnsafeBuffer(address, length).getBytes(0, bytes);
    return HexFormat.of().formatHex(bytes);
  }
}
