package io.plinth.log.replication;

import io.plinth.raft.core.Flaw;
import java.util.Set;

/**
 * Mistakes that can be switched on in tests, each at the place where a programmer would make it, to
 * prove that the checks of replicated runs can fail. Production passes an empty set.
 */
public enum ReplicationBug {
  /** A leader tells entries as committed when it has appended them itself. */
  ACK_BEFORE_MAJORITY,
  /** What is appended is reported as durable. */
  ACK_BEFORE_SYNC,
  /** Term and vote are told before the record that holds them is durable. */
  STATE_NOT_SYNCED,
  /** A start does not see that the machine was started anew. */
  IGNORE_BOOT_ID,
  /** Recovery keeps an entry where a later record of the log replaced it. */
  KEEP_CONFLICT,
  /** A follower stores payload without the checksums that came with it. */
  DROP_CHECKSUMS,
  /** What is read from the disk for a peer is sent as it is. */
  UNCHECKED_READ,
  /** The rules are given one tick for all the time that the core has slept. */
  SLEEP_NOT_COUNTED,
  /** Who was handed leadership asks for votes as if it stood by itself. */
  TRANSFER_NOT_TOLD,
  /** A quiet replica is not given the time that it has slept. */
  QUIET_TIME_NOT_COUNTED,
  /** Replicas are not told that a node is silent. */
  SILENCE_NOT_TOLD,
  /** A replica that has woken is not among those that get ticks. */
  WOKEN_NOT_LISTED,
  /** The rules vote for a second candidate in one term. */
  RULES_VOTE_TWICE(Flaw.VOTE_TWICE),
  /** The rules vote for whoever has less than they have. */
  RULES_VOTE_FOR_SHORTER_LOG(Flaw.VOTE_FOR_SHORTER_LOG),
  /** The rules commit entries of earlier terms by counting. */
  RULES_COMMIT_EARLIER_TERM(Flaw.COMMIT_EARLIER_TERM),
  /** The rules cut off what agrees with the leader. */
  RULES_TRUNCATE_WITHOUT_CONFLICT(Flaw.TRUNCATE_WITHOUT_CONFLICT),
  /** The rules keep an entry that the leader has another one for. */
  RULES_CONFLICT_KEPT(Flaw.CONFLICT_KEPT),
  /** The rules read under a lease that has ended. */
  RULES_LEASE_SURVIVES_LEADERSHIP(Flaw.LEASE_SURVIVES_LEADERSHIP),
  /** The rules read without asking anybody whether they lead. */
  RULES_READ_WITHOUT_QUORUM(Flaw.READ_WITHOUT_QUORUM),
  /** The rules take what members have appended for durable. */
  RULES_ACK_BEFORE_DURABLE(Flaw.ACK_BEFORE_DURABLE),
  /** The rules let who has lost his memory vote. */
  RULES_RECOVERING_VOTES(Flaw.RECOVERING_VOTES),
  /** The rules elect without waiting for those who still have their disks. */
  RULES_LOST_DISK_COUNTS(Flaw.LOST_DISK_COUNTS),
  /** The rules of a follower commit entries that the leader may not have. */
  RULES_COMMIT_BEYOND_MATCH(Flaw.COMMIT_BEYOND_MATCH);

  private final Flaw flaw;

  ReplicationBug() {
    this(Flaw.NONE);
  }

  ReplicationBug(Flaw flaw) {
    this.flaw = flaw;
  }

  /** Returns the mistake of the rules among some, of which there is one at most. */
  static Flaw flaw(Set<ReplicationBug> bugs) {
    for (ReplicationBug bug : bugs) {
      if (bug.flaw != Flaw.NONE) {
        return bug.flaw;
      }
    }
    return Flaw.NONE;
  }
}
