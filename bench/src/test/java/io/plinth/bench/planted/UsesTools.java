package io.plinth.bench.planted;

import io.plinth.tools.planted.UsesBench;

/** Planted: looks sideways. */
public final class UsesTools {
  UsesBench other;
}
