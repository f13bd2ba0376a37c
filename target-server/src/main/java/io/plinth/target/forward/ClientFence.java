package io.plinth.target.forward;

import java.util.ArrayList;

/**
 * What the leader does before a client that has newly attached to a volume, through any node, may
 * ask for anything: the client may have used the volume through another node, have closed that
 * connection without having got its answers, and must not see what it asked for there come after
 * what it asks for now.
 *
 * <pre>
 *   client     its node              leader                 every other node that forwards to it
 *     | attaches  |                    |                                |
 *     |---------->|  FENCE             |                                |
 *     |           |------------------->|  FENCE                         |
 *     |           |                    |------------------------------->| which clients have gone?
 *     |           |                    |    what was sent before, FENCED| drops what they wait for
 *     |           |             FENCED |<-------------------------------|
 *     |  admitted |<-------------------|
 *     |<----------|
 * </pre>
 *
 * Everything that a node passes on is behind its answer, and not of a client that had gone then, or
 * is in front of it, and begun before whatever the new client asks for. A node whose connection
 * ends instead passes nothing on that came before: its next connection is a new one, on which it
 * looks at its clients when it has found the leader, as does who becomes the leader (see {@link
 * ForwardedVolume}). What is on its way to who led before is taken by nobody who leads later: a
 * request names the term. And when all have answered, the leader makes sure that it leads, so that
 * whoever leads later is found by other nodes after that, and waits until what it has begun can be
 * read.
 */
final class ClientFence {
  final int group;
  final long id;

  /** Who wants it: a session of another node, or else a volume of this one. */
  final ForwardSession session;

  final ForwardedVolume volume;

  /** By which the one who wants it knows it. */
  final long askedId;

  /** Sessions that have not answered. */
  final ArrayList<ForwardSession> missing = new ArrayList<>();

  /** All have answered: the rest is between the leader and its followers. */
  boolean isConfirming;

  ClientFence(int group, long id, ForwardSession session, ForwardedVolume volume, long askedId) {
    this.group = group;
    this.id = id;
    this.session = session;
    this.volume = volume;
    this.askedId = askedId;
  }

  /** Tells who wants it. */
  void end(int status) {
    if (session != null) {
      session.onFenced(this, status);
    } else {
      volume.onFenced(null, askedId, status);
    }
  }

  /** Returns whether another fence is for the same one who wants it. */
  boolean hasSameAsker(ClientFence other) {
    return group == other.group && session == other.session && volume == other.volume;
  }
}
