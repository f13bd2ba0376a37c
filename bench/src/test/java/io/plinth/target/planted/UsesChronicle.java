package io.plinth.target.planted;

import net.openhft.planted.Queue;

/** Planted: writes records itself. */
public final class UsesChronicle {
  Queue other;
}
