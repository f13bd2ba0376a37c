/**
 * The {@code plinth} command: starts a server, or speaks to a running one through the admin API. It
 * runs on the main thread of its own process. Nothing imports it.
 */
package io.plinth.tools.cli;
