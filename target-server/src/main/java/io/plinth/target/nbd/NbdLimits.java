package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.MAX_STRING_BYTES;
import static io.plinth.target.nbd.NbdProtocol.OPTION_HEADER_BYTES;

/**
 * What one client, and all clients of one core together, may take.
 *
 * @param maxPayloadBytes longest READ and WRITE that is served, advertised as the maximum block
 *     size; a power of two. The payload of a longer WRITE is not read: the client is disconnected
 * @param inlineWriteBytes longest WRITE payload that is awaited in the connection's receive buffer
 *     and submitted from there; with its header it must fit that buffer
 * @param requestsPerConnection requests in flight, counted until the reply has left
 * @param requestsPerCore requests in flight of all connections of a core, pre-allocated; a
 *     connection may have at most a quarter of what is free, so that many greedy ones leave some
 * @param readBytesPerCore bytes of READs in flight of all connections of a core, counted until the
 *     reply has left; a quarter of them is for short ones, and of either part a connection may have
 *     at most half of what is free
 * @param connectionsPerCore connections of a core; further ones are refused
 * @param optionBytes longest option data that is looked at; it must fit the receive buffer
 * @param optionSkipBytes longest option data that is skipped with an error; a longer one ends the
 *     session
 * @param listedExports most exports that LIST names
 * @param extentsPerReply most extents that a reply to BLOCK_STATUS has for each context
 * @param handshakeTimeoutNs how long a client may take for its next option
 * @param stallTimeoutNs how long a client may keep replies unread or a payload unsent while others
 *     wait for what it holds
 * @param drainTimeoutNs how long a shutdown waits for clients to take their last replies
 * @param connectionsPerVolume clients that may use one volume or snapshot at a time; further ones
 *     are refused
 * @param idleTimeoutNs how long a client may ask for nothing before it is disconnected; 0 for ever
 * @param resizable clients may change the size of volumes
 */
public record NbdLimits(
    int maxPayloadBytes,
    int inlineWriteBytes,
    int requestsPerConnection,
    int requestsPerCore,
    long readBytesPerCore,
    int connectionsPerCore,
    int optionBytes,
    int optionSkipBytes,
    int listedExports,
    int extentsPerReply,
    long handshakeTimeoutNs,
    long stallTimeoutNs,
    long drainTimeoutNs,
    int connectionsPerVolume,
    long idleTimeoutNs,
    boolean resizable) {

  private static final long SECOND_NS = 1_000_000_000L;

  /** What a server uses unless configured otherwise. */
  public static final NbdLimits DEFAULT =
      new NbdLimits(
          32 << 20,
          60 << 10,
          128,
          4096,
          64L << 20,
          4096,
          32 << 10,
          64 << 10,
          10_000,
          2000,
          10 * SECOND_NS,
          5 * SECOND_NS,
          10 * SECOND_NS,
          4096,
          0,
          false);

  /** Checks what the code relies on. */
  public NbdLimits {
    require(Integer.bitCount(maxPayloadBytes) == 1, "maxPayloadBytes is not a power of two");
    require(maxPayloadBytes >= 1 << 20, "maxPayloadBytes is below 1 MiB, the text's least maximum");
    require(inlineWriteBytes > 0 && inlineWriteBytes <= maxPayloadBytes, "inlineWriteBytes");
    require(requestsPerConnection > 0, "requestsPerConnection");
    require(requestsPerCore > 0, "requestsPerCore");
    require(readBytesPerCore >= maxPayloadBytes, "readBytesPerCore is below maxPayloadBytes");
    require(connectionsPerCore > 0, "connectionsPerCore");
    require(optionBytes >= 2 * MAX_STRING_BYTES + OPTION_HEADER_BYTES, "optionBytes");
    require(optionSkipBytes >= optionBytes, "optionSkipBytes");
    require(listedExports > 0, "listedExports");
    // The chunk is claimed in one piece.
    require(extentsPerReply > 0 && extentsPerReply <= 2000, "extentsPerReply");
    require(connectionsPerVolume > 0, "connectionsPerVolume");
    require(idleTimeoutNs >= 0, "idleTimeoutNs");
    require(handshakeTimeoutNs > 0 && stallTimeoutNs > 0 && drainTimeoutNs > 0, "timeout");
  }

  /** Returns the same limits but for those that people configure. */
  public NbdLimits with(int newConnectionsPerVolume, long newIdleTimeoutNs, boolean newResizable) {
    return new NbdLimits(
        maxPayloadBytes,
        inlineWriteBytes,
        requestsPerConnection,
        requestsPerCore,
        readBytesPerCore,
        connectionsPerCore,
        optionBytes,
        optionSkipBytes,
        listedExports,
        extentsPerReply,
        handshakeTimeoutNs,
        stallTimeoutNs,
        drainTimeoutNs,
        newConnectionsPerVolume,
        newIdleTimeoutNs,
        newResizable);
  }

  private static void require(boolean condition, String what) {
    if (!condition) {
      throw new IllegalArgumentException("NBD limits: " + what);
    }
  }
}
