/**
 * Opening a log: the superblock, the walk along the chain of batches, and the decision table that
 * tells rot from a torn tail.
 *
 * <p>Runs once at start on the log's core, before clients are served. The node and read-only tools
 * import it.
 */
package io.plinth.log.recovery;
