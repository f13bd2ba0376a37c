/**
 * The ports of the engine for a simulated machine: time, randomness, a core and a disk that keep,
 * lose and damage what a real one may.
 *
 * <p>Everything runs on one thread and repeats exactly from a seed. Tests and the simulator import
 * it; production may not.
 */
package io.plinth.engine.sim;
