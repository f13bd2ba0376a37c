/**
 * A load generator for any NBD server that costs little CPU itself, so that what it measures is the
 * server. One thread for each connection, and one that waits. Nothing imports it.
 */
package io.plinth.bench.load;
