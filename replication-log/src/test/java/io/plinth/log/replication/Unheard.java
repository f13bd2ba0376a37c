package io.plinth.log.replication;

/** Nobody wants to know, or only of what is overridden. */
class Unheard implements ReplicaListener {
  @Override
  public void onRole(Replica replica, boolean leads, long term, int leader) {}

  @Override
  public void onCommitted(Replica replica, long from, long to) {}

  @Override
  public void onFlushed(Replica replica, long index) {}

  @Override
  public void onReadGranted(Replica replica, long id, long index) {}

  @Override
  public void onReadRefused(Replica replica, long id) {}

  @Override
  public void onCommittedLost(Replica replica, long index) {}

  @Override
  public void onEpochRaised(Replica replica, long epoch) {}

  @Override
  public void onResyncNeeded(Replica replica, int node) {}

  @Override
  public void onStopped(Replica replica, String why) {}
}
