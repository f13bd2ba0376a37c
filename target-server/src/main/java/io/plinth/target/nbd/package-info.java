/**
 * The NBD front end: fixed newstyle negotiation and the transmission phase of
 * NetworkBlockDevice/nbd {@code doc/proto.md}, written against {@link
 * io.plinth.engine.api.Connection} only.
 *
 * <p>Everything of a session runs on the thread of the core that owns its connection, which after
 * negotiation is the core that owns the volume. {@code target.node} and {@code target.main} may
 * import it; it imports the engine's ports and {@code target.volume}.
 */
package io.plinth.target.nbd;
