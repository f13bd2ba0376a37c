package io.plinth.target.volume;

import io.plinth.log.replication.Replica;
import io.plinth.log.wire.ResyncFrame;
import java.util.List;

/**
 * How a replica learns that its group does not need it any more. Who was removed is told nothing by
 * the rules, so it asks; and it goes only with the leave of a leader, never because the catalogue
 * says so, which may be older or newer than what the group has done.
 *
 * <pre>
 *  kind       from     leaf                              a
 *  64 MAY_GO  replica
 *  65 GO      leader   an entry, durable on a majority,  its term
 *                      as of which it is no member
 * </pre>
 *
 * <p>Why that is enough: a member that is added later has acknowledged an entry that follows. Who
 * has none of those, nor of later terms, counts in no majority that is needed; and when it has gone
 * it is silent, which takes nothing from anybody. If it comes back, it begins with what a leader
 * gives it.
 */
final class GroupDeparture {
  private static final int MAY_GO = 64;
  private static final int GO = 65;
  private static final long NEVER = -1;

  private final VolumeStore store;
  private final VolumeGroup group;

  /** The newest entry that this replica had when it was allowed to go. */
  private long allowedAt = NEVER;

  GroupDeparture(VolumeStore store, VolumeGroup group) {
    this.store = store;
    this.group = group;
  }

  /** Asks whoever may lead. */
  void ask(List<Integer> nodes) {
    for (int node : nodes) {
      boolean _ =
          group.replica().sendResync(node, store.resyncs().begin(MAY_GO, group.id()).bytes(0));
    }
  }

  /** Returns whether this replica may go, and has got nothing since it was told so. */
  boolean isAllowed() {
    return allowedAt != NEVER && allowedAt == group.replica().lastIndex();
  }

  /** Takes a frame if it is about this. */
  boolean onFrame(int node, ResyncFrame frame) {
    switch (frame.kind()) {
      case MAY_GO -> answer(node);
      case GO -> onGo(frame.leaf(), frame.a());
      default -> {
        return false;
      }
    }
    return true;
  }

  private void answer(int node) {
    Replica replica = group.replica();
    long index = replica.leads() ? replica.flushedIndex() : 0;
    // Durable in this term: so what follows in any log that counts is of this term or a later one.
    if (index <= 0 || index < replica.baseIndex()) {
      return;
    }
    if (replica.members().contains(node) || replica.isMemberAt(node, index)) {
      return;
    }
    ResyncFrame frame = store.resyncs().begin(GO, group.id()).bytes(0).leaf(index);
    boolean _ = replica.sendResync(node, frame.a(replica.term()));
  }

  private void onGo(long index, long term) {
    Replica replica = group.replica();
    long last = replica.lastIndex();
    boolean older = last > index && replica.hasBegun() && replica.entryTerm(last) < term;
    if (last <= index || older) {
      allowedAt = last;
    }
  }
}
