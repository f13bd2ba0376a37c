/**
 * The segments of a log as the journal keeps them: what is in use, in memory, lent out, and not yet
 * durable.
 *
 * <p>Belongs to the log's core. The journal imports it, and the read path through the journal.
 */
package io.plinth.log.segment;
