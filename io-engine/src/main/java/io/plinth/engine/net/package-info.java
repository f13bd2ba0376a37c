/**
 * Sockets of a core: listeners, stream connections with gathered writes and back-pressure, and the
 * engine that joins cores.
 *
 * <p>A connection lives on one core's thread at a time and may move. The composition root and tests
 * import this package; protocol code uses the ports of {@code engine.api} instead.
 */
package io.plinth.engine.net;
