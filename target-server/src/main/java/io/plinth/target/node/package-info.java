/**
 * The storage node: logs, catalogue and volumes of one data directory, joined. Production and
 * simulator run the same class.
 *
 * <p>Each part runs on the core that owns it; the control methods may be called from any thread.
 * The composition root and the simulator import it.
 */
package io.plinth.target.node;
