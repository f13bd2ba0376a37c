package io.plinth.engine.planted;

import io.plinth.raft.planted.UsesEngine;

/** Planted: a leaf that knows another. */
public final class UsesRaft {
  UsesEngine other;
}
