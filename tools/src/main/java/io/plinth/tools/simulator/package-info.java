/**
 * The simulator: a real node on a simulated core and disk, driven from one seed through requests
 * and faults, and held to the guarantees by checkers outside of it.
 *
 * <p>Each run is one thread and repeats exactly. It is the only main code besides the simulated
 * devices that may use them; nothing imports it.
 */
package io.plinth.tools.simulator;
