/**
 * The ports of the engine: what a core, a connection, a file and a clock promise, and the value
 * types they speak.
 *
 * <p>Everything here is called on the thread of the core that owns the object unless a method says
 * otherwise. Every module above the engine may import this package; it imports nothing of the
 * engine itself.
 */
package io.plinth.engine.api;
