/**
 * Off-heap memory: lazily committed regions, aligned buffer pools with computed bounds, and
 * checksums over raw addresses.
 *
 * <p>Pools belong to one core and are used on its thread only. Any package above may import it.
 */
package io.plinth.engine.memory;
