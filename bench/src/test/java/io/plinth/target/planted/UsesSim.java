package io.plinth.target.planted;

import io.plinth.engine.sim.planted.Device;

/** Planted: production code that knows a simulated device. */
public final class UsesSim {
  Device other;
}
