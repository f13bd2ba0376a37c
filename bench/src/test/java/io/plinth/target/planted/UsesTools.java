package io.plinth.target.planted;

import io.plinth.tools.planted.UsesBench;

/** Planted: looks up. */
public final class UsesTools {
  UsesBench other;
}
