package io.plinth.tools.planted;

import io.plinth.bench.planted.UsesTools;

/** Planted: looks sideways. */
public final class UsesBench {
  UsesTools other;
}
