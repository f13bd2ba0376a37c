package io.plinth.log.replication;

import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftCore;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;

/**
 * What is to be known of a group when its log is replayed: all that the log before may have held
 * alone. A checkpoint keeps it.
 *
 * @param group its number
 * @param index the last entry that is not to be replayed, 0 if none: what follows is kept for other
 *     members, or was not applied
 * @param applied the last entry that is in the owner's state, {@code index} or a later one
 * @param entryTerm the term of entry {@code index}
 * @param epoch the epoch as of that entry
 * @param membership the members as of that entry
 * @param term the replica's promised term; 0 when it has promised nothing
 * @param vote its vote in that term, or {@link RaftCore#NO_NODE}
 * @param recovering whether it may have lost what it acknowledged
 * @param lostDisk whether that is because it has lost its disk
 * @param bootId of the machine when that was so
 */
public record GroupState(
    int group,
    long index,
    long applied,
    long entryTerm,
    long epoch,
    Membership membership,
    long term,
    int vote,
    boolean recovering,
    boolean lostDisk,
    long bootId) {
  /** Returns the state of a group that has no entries. */
  public static GroupState first(int group, Membership membership) {
    return begun(group, membership, false);
  }

  /**
   * Returns the same of one that may have lost what it acknowledged in an earlier life, with its
   * disk.
   */
  static GroupState begun(int group, Membership membership, boolean recovering) {
    return new GroupState(
        group, 0, 0, 0, 0, membership, 0, RaftCore.NO_NODE, recovering, recovering, 0);
  }

  private static final int RECOVERING = 1;
  private static final int LOST_DISK = 2;

  /** What {@link #encode} takes for a group without members. */
  public static final int LEAST_BYTES = 65;

  /** Returns how many bytes {@link #encode} takes. */
  public int encodedBytes() {
    return LEAST_BYTES + Integer.BYTES * (membership.voterCount() + membership.learnerCount());
  }

  /**
   * Puts the state into a checkpoint:
   *
   * <pre>
   *  u32 group, u64 index, u64 applied, u64 term of entry index, u64 epoch,
   *  u64 term, u32 vote, u8 1 recovering, 3 with its disk lost, u64 boot id,
   *  u32 voters, u32 each, u32 learners, u32 each
   * </pre>
   */
  public void encode(ByteBuffer out) {
    out.putInt(group).putLong(index).putLong(applied).putLong(entryTerm);
    out.putLong(epoch).putLong(term).putInt(vote);
    out.put((byte) ((recovering ? RECOVERING : 0) | (lostDisk ? LOST_DISK : 0))).putLong(bootId);
    out.putInt(membership.voterCount());
    for (int i = 0; i < membership.voterCount(); i++) {
      out.putInt(membership.voter(i));
    }
    out.putInt(membership.learnerCount());
    for (int i = 0; i < membership.learnerCount(); i++) {
      out.putInt(membership.learner(i));
    }
  }

  /**
   * Takes back what {@link #encode} has put.
   *
   * @throws BufferUnderflowException when it is cut short
   * @throws IllegalArgumentException when its members or entries make no sense; names the group
   */
  public static GroupState decode(ByteBuffer in) {
    int group = in.getInt();
    long index = in.getLong();
    long applied = in.getLong();
    long entryTerm = in.getLong();
    long epoch = in.getLong();
    long term = in.getLong();
    int vote = in.getInt();
    int marks = in.get();
    long bootId = in.getLong();
    int[] voters = nodes(in);
    int[] learners = nodes(in);
    Membership members;
    try {
      members = Membership.of(voters, learners);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("the members of group " + group + " make no sense", e);
    }
    if (applied < index) {
      throw new IllegalArgumentException("the entries of group " + group + " make no sense");
    }
    return new GroupState(
        group,
        index,
        applied,
        entryTerm,
        epoch,
        members,
        term,
        vote,
        (marks & RECOVERING) != 0,
        (marks & LOST_DISK) != 0,
        bootId);
  }

  private static int[] nodes(ByteBuffer in) {
    int count = in.getInt();
    if (count < 0 || count > in.remaining() / Integer.BYTES) {
      throw new BufferUnderflowException();
    }
    int[] nodes = new int[count];
    for (int i = 0; i < count; i++) {
      nodes[i] = in.getInt();
    }
    return nodes;
  }
}
