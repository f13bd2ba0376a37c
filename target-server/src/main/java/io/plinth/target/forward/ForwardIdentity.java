package io.plinth.target.forward;

import java.util.UUID;

/**
 * Who forwards, or is forwarded to.
 *
 * @param clusterId of the cluster; nodes of different ones do not speak to each other
 * @param node the node's number, as members of groups have it
 * @param core which of the node's cores, 0 to 65535
 * @param incarnation grows with every start of that core's log
 */
public record ForwardIdentity(UUID clusterId, int node, int core, long incarnation) {
  @Override
  public String toString() {
    return "node " + node + " core " + core;
  }
}
