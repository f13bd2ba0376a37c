package io.plinth.raft.planted;

import io.plinth.engine.planted.UsesRaft;

/** Planted: a leaf that knows another. */
public final class UsesEngine {
  UsesRaft other;
}
