/**
 * The duty cycle of a core: completions, inbox, cycle tasks, replies, timers, idling; and the
 * driver seam below it.
 *
 * <p>One thread per core runs {@link io.plinth.engine.core.EngineCore}; nothing here blocks except
 * the driver when idle. Only {@code engine.*} and the composition root import it.
 */
package io.plinth.engine.core;
