/**
 * The peer protocol: hello, frames, and codecs of the messages that replicas send each other.
 *
 * <p>Written against {@code engine.api.Connection}; everything of one connection happens on the
 * core that owns it. {@code log.replication} imports it; it imports {@code raft.core.Message} and
 * knows nothing of the rules.
 */
package io.plinth.log.wire;
