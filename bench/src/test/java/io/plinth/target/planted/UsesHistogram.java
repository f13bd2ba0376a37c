package io.plinth.target.planted;

import org.HdrHistogram.Histogram;

/** Planted: measures itself. */
public final class UsesHistogram {
  Histogram other;
}
