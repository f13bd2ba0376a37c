package io.plinth.log.wire;

import io.plinth.raft.core.Message;

/** Owner of peers' connections; called on their core. */
public interface PeerListener {
  /**
   * Judges a hello whose cluster, target and version are right.
   *
   * @return why the peer is not welcome, one line for a person; null if it is
   */
  String onHello(PeerIdentity peer);

  /** Both sides have said hello and accept each other. */
  void onOpen(PeerChannel channel);

  /** A message without payload; valid during the call. */
  void onMessage(PeerChannel channel, int group, Message message);

  /** The peer wants entries up to an index durable here as soon as they are. */
  void onSync(PeerChannel channel, int group, long index);

  /**
   * Entries; valid during the call.
   *
   * @return false when they can't be taken now: nothing more is read until {@link
   *     PeerChannel#offerAgain}
   */
  boolean onAppend(PeerChannel channel, AppendFrame frame);

  /** A step of a resync; valid during the call. */
  void onResync(PeerChannel channel, ResyncFrame frame);

  /** There was no room for something, and there is now. */
  void onWritable(PeerChannel channel);

  /** The connection is gone; called once, whether or not it was open. */
  void onClosed(PeerChannel channel, String why);
}
