/**
 * The catalogue: what volumes exist and which log their replicas are in, as a deterministic state
 * machine over commands in the log.
 *
 * <p>Belongs to the core of log 0. Only the node imports it.
 */
package io.plinth.target.cluster;
