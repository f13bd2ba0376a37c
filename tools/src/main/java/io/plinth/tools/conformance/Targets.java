package io.plinth.tools.conformance;

/**
 * All servers of a run; those that nobody has provided are null.
 *
 * @param main the one that is judged
 */
record Targets(Server main, Server failing, Server forcedTls, Server selectiveTls) {}
