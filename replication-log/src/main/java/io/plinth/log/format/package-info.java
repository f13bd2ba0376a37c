/**
 * The bytes of the log: batches, records, segment headers and the superblock, with their checksums
 * and versions.
 *
 * <p>Flyweights over memory, no state of their own, used on the log's core and by read-only tools.
 * Any package above may import it.
 */
package io.plinth.log.format;
