package io.plinth.target.nbd;

import java.util.concurrent.atomic.AtomicLong;

/** Rare events of one core's NBD sessions; written by the core, read by any thread. */
public final class NbdCounters {
  private final AtomicLong connectionsAccepted = new AtomicLong();
  private final AtomicLong connectionsRefused = new AtomicLong();
  private final AtomicLong connectionsOpen = new AtomicLong();
  private final AtomicLong protocolViolations = new AtomicLong();
  private final AtomicLong handshakeTimeouts = new AtomicLong();
  private final AtomicLong tlsFailures = new AtomicLong();
  private final AtomicLong stalledEvictions = new AtomicLong();
  private final AtomicLong invalidRequests = new AtomicLong();

  NbdCounters() {}

  /** Returns how many connections this core has accepted. */
  public long connectionsAccepted() {
    return connectionsAccepted.getOpaque();
  }

  /** Returns how many connections were closed at once because of the limit or a shutdown. */
  public long connectionsRefused() {
    return connectionsRefused.getOpaque();
  }

  /** Returns how many connections this core has now. */
  public long connectionsOpen() {
    return connectionsOpen.getOpaque();
  }

  /** Returns how many sessions ended because the client broke the protocol. */
  public long protocolViolations() {
    return protocolViolations.getOpaque();
  }

  /** Returns how many sessions ended because the client negotiated too slowly. */
  public long handshakeTimeouts() {
    return handshakeTimeouts.getOpaque();
  }

  /** Returns how many sessions ended because TLS failed, in the handshake or later. */
  public long tlsFailures() {
    return tlsFailures.getOpaque();
  }

  /** Returns how many clients were disconnected because they held what others waited for. */
  public long stalledEvictions() {
    return stalledEvictions.getOpaque();
  }

  /** Returns how many requests were answered with an error because they broke a rule. */
  public long invalidRequests() {
    return invalidRequests.getOpaque();
  }

  void connectionAccepted() {
    increment(connectionsAccepted);
  }

  void connectionRefused() {
    increment(connectionsRefused);
  }

  void connectionsOpen(int count) {
    connectionsOpen.setOpaque(count);
  }

  void protocolViolation() {
    increment(protocolViolations);
  }

  void handshakeTimeout() {
    increment(handshakeTimeouts);
  }

  void tlsFailure() {
    increment(tlsFailures);
  }

  void stalledEviction() {
    increment(stalledEvictions);
  }

  void invalidRequest() {
    increment(invalidRequests);
  }

  /** One writer: a plain read and an opaque write are enough, and cost what a field costs. */
  private static void increment(AtomicLong counter) {
    counter.setOpaque(counter.getPlain() + 1);
  }
}
