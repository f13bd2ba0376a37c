/**
 * Volumes that other nodes lead: a facade that asks the replica of this node as long as that leads,
 * and else the leader's, over connections between the cores of nodes.
 *
 * <p>All of it runs on the thread of the core that owns the log of that number; core {@code i} of a
 * node speaks with core {@code i} of the others. {@code target.node} and {@code target.main} may
 * import it; it imports the engine's ports, {@code target.volume} and {@code log.replication}.
 */
package io.plinth.target.forward;
