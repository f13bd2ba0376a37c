package io.plinth.tools.conformance;

/**
 * A server and an export of it that probes are about.
 *
 * @param label tells it from the one that is judged; empty for that one
 * @param facts null while they are being asked for
 */
record Server(String label, NbdUri uri, Facts facts) {}
