/**
 * The numbers of the NBD protocol as the tools' clients need them. They are read from the
 * protocol's text and not taken from the server, so that a mistake there is seen.
 *
 * <p>Constants only. Every package of the tools that speaks the protocol imports it.
 */
package io.plinth.tools.nbd;
