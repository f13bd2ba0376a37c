/**
 * The rules of consensus as pure functions and state machines: messages and ticks in, actions out.
 *
 * <p>No clock, thread, socket or random source of its own. {@code log.replication} and the
 * simulator import it; it imports nothing of ours.
 */
package io.plinth.raft.core;
