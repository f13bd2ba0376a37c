package io.plinth.log.planted;

import io.plinth.target.planted.UsesSim;

/** Planted: looks up. */
public final class UsesTarget {
  UsesSim other;
}
