/**
 * Latency histograms and counters, recorded on a core without waiting and read from any thread.
 *
 * <p>The only production package that knows HdrHistogram. Any package above may import it.
 */
package io.plinth.engine.metrics;
