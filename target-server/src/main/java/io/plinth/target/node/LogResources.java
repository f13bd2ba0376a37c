package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.LogStorage;

/**
 * What a log of a node runs on.
 *
 * @param name for messages, such as {@code log-0}
 * @param core the core that owns the log and its volumes
 * @param storage its segments
 * @param peers the logs of other nodes that replicate with it
 */
public record LogResources(String name, Core core, LogStorage storage, NodePeers peers) {
  /** The log of a node that is in no cluster. */
  public LogResources(String name, Core core, LogStorage storage) {
    this(name, core, storage, NodePeers.none());
  }
}
