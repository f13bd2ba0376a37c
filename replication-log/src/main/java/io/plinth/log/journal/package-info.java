/**
 * The append path: records into batches, batches into segments, group commit and what is durable.
 *
 * <p>One journal belongs to one core. Volumes and the catalogue append through it; the node opens
 * and closes it.
 */
package io.plinth.log.journal;
