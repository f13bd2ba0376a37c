package io.plinth.log.wire;

import io.plinth.raft.core.Message;

/** What has come in frames; called in the order of the stream. */
public interface FrameSink {
  /** A message without payload; valid during the call. */
  void onMessage(int group, Message message);

  /** The peer wants entries up to an index durable here. */
  void onSync(int group, long index);

  /**
   * Entries, whose payload matches its checksums; valid during the call.
   *
   * @return false when they can't be taken now: they are offered again when asked for, and nothing
   *     else is read before
   */
  boolean onAppend(AppendFrame frame);

  /** A step of a resync; valid during the call. */
  void onResync(ResyncFrame frame);

  /** The peer does not understand a type that we have sent. */
  void onRefused(int frameType, int messageType, int peerVersion);

  /** A type that is not known here, each time that one comes; it was skipped. */
  void onUnknown(int frameType, int messageType);
}
