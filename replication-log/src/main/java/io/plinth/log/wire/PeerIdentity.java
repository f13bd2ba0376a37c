package io.plinth.log.wire;

import java.util.UUID;

/**
 * Who speaks on one side of a peers' connection.
 *
 * @param clusterId of the cluster; nodes of different ones do not speak to each other
 * @param node the node's number, as members of groups have it
 * @param core which of the node's logs, 0 to 65535
 * @param incarnation grows with every start of that log
 * @param bootId of the node's machine
 * @param minVersion the oldest version of the protocol that it speaks
 * @param maxVersion the newest
 */
public record PeerIdentity(
    UUID clusterId,
    int node,
    int core,
    long incarnation,
    UUID bootId,
    int minVersion,
    int maxVersion) {
  /** Returns the identity of a log of this program. */
  public static PeerIdentity of(UUID clusterId, int node, int core, long incarnation, UUID bootId) {
    return new PeerIdentity(
        clusterId, node, core, incarnation, bootId, WireFormat.MIN_VERSION, WireFormat.VERSION);
  }

  @Override
  public String toString() {
    return "node " + node + " core " + core;
  }
}
