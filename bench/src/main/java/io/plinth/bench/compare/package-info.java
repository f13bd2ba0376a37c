/**
 * Compares servers side by side on this machine: the same load on each in turn, pair by pair,
 * reported as ratios.
 *
 * <p>A main class that starts and ends processes of its own. Nothing imports it.
 */
package io.plinth.bench.compare;
