/**
 * The {@code plinth} command: starts a server, or speaks to a running one through the admin API. It
 * runs on the main thread of its own process. The other commands of this module import how a
 * process ends and with which codes; nothing else imports it.
 */
package io.plinth.tools.cli;
