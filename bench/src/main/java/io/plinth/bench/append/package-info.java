/**
 * Measures the ways to append to a log on this machine, which the choice of the journal's append
 * path rests on.
 *
 * <p>A main class, one thread, no server. Nothing imports it.
 */
package io.plinth.bench.append;
