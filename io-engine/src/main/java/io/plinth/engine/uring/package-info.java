/**
 * The io_uring driver: the only package that knows io_uring and the uring classes of Netty.
 *
 * <p>One driver belongs to one core's thread. Only the engine's own composition ({@code
 * engine.net.Engine}) imports it.
 */
package io.plinth.engine.uring;
