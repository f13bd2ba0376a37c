/**
 * Looks at a data directory that no server uses: dumps what is in it and checks it against itself.
 *
 * <p>Runs on the thread that asks, opens every file for reading only, and runs no core. {@code
 * tools.cli} imports it.
 */
package io.plinth.tools.inspect;
