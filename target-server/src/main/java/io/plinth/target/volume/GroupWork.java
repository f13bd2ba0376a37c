package io.plinth.target.volume;

/** A group whose committed entries are applied a bounded amount at a time. */
public interface GroupWork {
  /** Applies some; returns how much was done. */
  int applySome();

  /** Returns whether there are more. */
  boolean isBehind();
}
