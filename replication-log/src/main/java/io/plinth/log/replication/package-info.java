/**
 * Joins the rules of raft.core to the journal: which entry has which index and term, and when its
 * ack may leave.
 *
 * <p>Used on the core that owns the group's log; the volumes and the catalogue import it.
 */
package io.plinth.log.replication;
