/**
 * The simulator of clusters: whole nodes with their catalogue, their replicas and their forwarding,
 * on simulated machines and networks, driven from one seed and held to the guarantees from outside.
 *
 * <p>Each run is one thread and repeats exactly. Nothing but the command of the simulator imports
 * it.
 */
package io.plinth.tools.simulator.cluster;
