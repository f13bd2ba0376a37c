package io.plinth.log.replication;

import io.plinth.log.wire.ResyncFrame;

/** Owner of a replica; called on its core. It may propose and read from within these calls. */
public interface ReplicaListener {
  /** The replica's part in its group has changed. */
  void onRole(Replica replica, boolean leads, long term, int leader);

  /**
   * Entries after {@code from} up to {@code to} are committed: they may be applied, and those that
   * were proposed here acknowledged. After a start the entries of the log are told anew.
   */
  void onCommitted(Replica replica, long from, long to);

  /** Entries up to {@code index} are durable on a majority; told to the leader only. */
  void onFlushed(Replica replica, long index);

  /** The read may be answered as soon as entries up to {@code index} are applied. */
  void onReadGranted(Replica replica, long id, long index);

  /** The read must be asked elsewhere. */
  void onReadRefused(Replica replica, long id);

  /**
   * Committed entries from {@code index} on are lost: what was applied of them has to be undone,
   * and clients from before are to be disconnected.
   */
  void onCommittedLost(Replica replica, long index);

  /** A new epoch has begun: clients from before are to be disconnected. */
  void onEpochRaised(Replica replica, long epoch);

  /** A member is behind what the log has: its state has to be brought over beside it. */
  void onResyncNeeded(Replica replica, int node);

  /** A node says something of a resync of this group; the frame is valid during the call. */
  default void onResync(Replica replica, int node, ResyncFrame frame) {}

  /** The replica has stopped for good; one line for a person. */
  void onStopped(Replica replica, String why);
}
