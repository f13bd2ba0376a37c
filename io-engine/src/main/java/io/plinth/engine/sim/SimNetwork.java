package io.plinth.engine.sim;

import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Machines and the connections between them. A connection keeps its order, as TCP does: what is
 * lost is lost with all that follows, by a reset. Between connections nothing is ordered. A
 * partition holds back what is on its way until it heals.
 *
 * <p>Time is the network's own, moved on by whoever simulates: the machines' clocks may drift.
 */
public final class SimNetwork {
  private final SimRandom random;
  private final List<SimHost> hosts = new ArrayList<>();
  private final Map<Long, Link> links = new TreeMap<>();
  private long nowNs;
  private long nextId;
  private int minDelayNs = 20_000;
  private int maxDelayNs = 200_000;
  private int lateOneIn;
  private int maxLateNs;
  private int resetOneIn;
  private long resets;
  private long transmissions;
  private long transmittedBytes;

  /** What is special about the way from one machine to another. */
  private static final class Link {
    boolean blocked;
    long extraNs;
    long nsPerByte;
  }

  /** Creates a network without machines. */
  public SimNetwork(SimRandom random) {
    this.random = random;
  }

  /** Returns the time. */
  public long nowNs() {
    return nowNs;
  }

  /** Moves time on. */
  public void advance(long stepNs) {
    nowNs += stepNs;
  }

  /** Gives a core of machine {@code number} a network, before the core gets its other tasks. */
  public SimHost attach(int number, SimCore core) {
    SimHost host = new SimHost(this, number, core);
    hosts.add(host);
    return host;
  }

  /** Sets how long bytes are on their way. */
  public void delay(int minNs, int maxNs) {
    minDelayNs = minNs;
    maxDelayNs = maxNs;
  }

  /** Lets one of {@code n} transmissions take up to so much longer; 0: none. */
  public void late(int n, int maxNs) {
    lateOneIn = n;
    maxLateNs = maxNs;
  }

  /** Lets one of {@code n} transmissions be lost, and the connection with it; 0: none. */
  public void lose(int n) {
    resetOneIn = n;
  }

  /** Returns how many connections were reset for a loss. */
  public long resets() {
    return resets;
  }

  /** Returns how often something was sent; what leaves in one duty cycle of a core is one. */
  public long transmissions() {
    return transmissions;
  }

  /** Returns how many bytes were sent. */
  public long transmittedBytes() {
    return transmittedBytes;
  }

  /** Holds back what one machine sends to another, until {@link #heal}. */
  public void block(int from, int to) {
    link(from, to).blocked = true;
  }

  /** Makes the way from one machine to another slow. */
  public void slow(int from, int to, long extraNs, long nsPerByte) {
    Link link = link(from, to);
    link.extraNs = extraNs;
    link.nsPerByte = nsPerByte;
  }

  /** Makes all ways fast and open again. */
  public void heal() {
    links.clear();
  }

  /** Resets all connections between two machines. */
  public void reset(int a, int b) {
    for (SimHost host : hosts) {
      if (host.number() == a || host.number() == b) {
        host.resetAll(host.number() == a ? b : a);
      }
    }
  }

  boolean reaches(int from, int to) {
    Link link = links.get(key(from, to));
    return link == null || !link.blocked;
  }

  /** Returns when something that is sent now arrives. */
  long arrival(int from, int to, int bytes) {
    long delayNs = (long) minDelayNs + random.nextInt(maxDelayNs - minDelayNs + 1);
    if (lateOneIn > 0 && random.oneIn(lateOneIn)) {
      delayNs += random.nextInt(maxLateNs);
    }
    Link link = links.get(key(from, to));
    if (link != null) {
      delayNs += link.extraNs + link.nsPerByte * bytes;
    }
    return nowNs + delayNs;
  }

  void transmit(SimConnection sender, SimLink link, byte[] bytes, int from, int to) {
    transmissions++;
    transmittedBytes += bytes.length;
    long dueNs = arrival(from, to, bytes.length);
    if (sender.other().isGone()) {
      // Nobody knows this connection there; a machine that is down says nothing.
      if (isUp(to)) {
        sender.resetAt(arrival(to, from, 0) - nowNs + dueNs, Status.ECONNRESET);
      }
      return;
    }
    if (resetOneIn > 0 && random.oneIn(resetOneIn)) {
      resets++;
      sender.resetAt(arrival(to, from, 0), Status.ECONNRESET);
      sender.other().resetAt(dueNs, Status.ECONNRESET);
      return;
    }
    link.send(bytes, dueNs);
  }

  void dial(SimHost from, String address, Connector connector) {
    SimHost target = null;
    for (SimHost host : hosts) {
      if (host.listensOn(address)) {
        target = host;
      }
    }
    if (target == null) {
      from.connectFailed(connector, Status.ECONNREFUSED, arrival(from.number(), from.number(), 0));
      return;
    }
    if (!reaches(from.number(), target.number()) || !reaches(target.number(), from.number())) {
      from.connectFailed(connector, Status.ETIMEDOUT, nowNs + Dialler.CONNECT_TIMEOUT_NS);
      return;
    }
    SimLink there = new SimLink();
    SimLink back = new SimLink();
    SimConnection near = new SimConnection(this, nextId++, from, target.number(), back, there);
    SimConnection far = new SimConnection(this, nextId++, target, from.number(), there, back);
    near.pairWith(far);
    far.pairWith(near);
    long dueNs = arrival(from.number(), target.number(), 0);
    target.accept(address, far, dueNs);
    from.connected(connector, near, dueNs + minDelayNs);
  }

  SimHost hostOf(Core core) {
    for (SimHost host : hosts) {
      if (host.core() == core) {
        return host;
      }
    }
    throw new IllegalArgumentException("core " + core.id() + " has no simulated network");
  }

  private boolean isUp(int number) {
    for (SimHost host : hosts) {
      if (host.number() == number) {
        return true;
      }
    }
    return false;
  }

  void remove(SimHost host) {
    hosts.remove(host);
  }

  private Link link(int from, int to) {
    return links.computeIfAbsent(key(from, to), key -> new Link());
  }

  private static long key(int from, int to) {
    return (long) from << 32 | to;
  }
}
