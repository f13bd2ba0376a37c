package io.plinth.engine.sim.planted;

/** Planted: stands for a simulated device. */
public final class Device {}
