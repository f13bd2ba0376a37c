package io.plinth.tools.simulator.planted;

import io.plinth.engine.sim.planted.Device;

/** Planted: the simulator may know simulated devices. */
public final class Innocent {
  Device other;
}
