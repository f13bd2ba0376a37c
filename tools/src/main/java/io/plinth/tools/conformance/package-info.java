/**
 * Asks a running NBD server, of whatever make, whether it keeps the rules of the protocol's text: a
 * client that can send anything, a strict decoder, and one check for each rule.
 *
 * <p>Runs on the thread that asks, and waits for nothing without a time limit; it shares no code
 * with the server of this project, so that no mistake can be in both, but for the client's end of
 * TLS with pre-shared keys, which is {@code target.security}'s. {@code tools.cli} imports it.
 */
package io.plinth.tools.conformance;
