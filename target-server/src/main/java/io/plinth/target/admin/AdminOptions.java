package io.plinth.target.admin;

/**
 * Where the admin API listens, and the limits that keep a careless client from costing more than
 * its own connection.
 *
 * @param host an address or name of this machine
 * @param port 0 for any free one
 * @param maxConnections connections at once; further ones are answered 503 and closed
 * @param maxRequestBytes largest body; larger ones are answered 413
 * @param maxHeaderBytes largest sum of header fields; larger ones are answered 431
 * @param idleTimeoutMs time for the next whole request to arrive, and for a reply to be taken
 * @param operationTimeoutMs time for the node to answer, then 503
 */
public record AdminOptions(
    String host,
    int port,
    int maxConnections,
    int maxRequestBytes,
    int maxHeaderBytes,
    long idleTimeoutMs,
    long operationTimeoutMs) {

  /** The usual limits: 64 connections, 64 KiB bodies, 8 KiB headers, 30 s. */
  public static AdminOptions at(String host, int port) {
    return new AdminOptions(host, port, 64, 64 << 10, 8 << 10, 30_000, 30_000);
  }
}
