/**
 * Volumes: the index from block to place in the log, the read and write paths, and what FLUSH, FUA,
 * TRIM and WRITE ZEROES mean.
 *
 * <p>A volume belongs to one core and is touched on its thread only. The front ends and the node
 * import this package.
 */
package io.plinth.target.volume;
