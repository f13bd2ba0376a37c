package io.plinth.log.replication;

import io.plinth.log.format.RecordHeader;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.RecoveryVisitor;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.WireFormat;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftCore;
import java.util.EnumSet;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.IntFunction;

/** Collects what a log holds of each group while the log is recovered. */
public final class GroupRecovery implements RecoveryVisitor {
  private final TreeMap<Integer, RecoveredGroup> groups = new TreeMap<>();
  private final int self;
  private final IntFunction<Membership> first;
  private final Set<ReplicationBug> bugs;
  private long position;
  private boolean beforeCut;

  /**
   * Creates an empty collection.
   *
   * @param self this node
   * @param first the members of each group before its first entry
   * @param bugs empty except in tests
   */
  public GroupRecovery(int self, IntFunction<Membership> first, Set<ReplicationBug> bugs) {
    this.self = self;
    this.first = first;
    this.bugs = bugs;
  }

  /** Returns an empty collection of the groups of a node. */
  public static GroupRecovery of(GroupMembers members) {
    return new GroupRecovery(
        members.node(),
        group -> Membership.of(members.first().apply(group)),
        EnumSet.noneOf(ReplicationBug.class));
  }

  /** Takes a group of which the owner's state has the entries up to some base. */
  public void expect(GroupState base) {
    groups.put(base.group(), new RecoveredGroup(base, self));
  }

  /** Returns whether the log holds anything of a group. */
  public boolean has(int group) {
    return groups.containsKey(group);
  }

  /** Takes a group that begins with these voters and without entries. */
  public void begin(int group, int[] voters, boolean recovering) {
    expect(GroupState.begun(group, Membership.of(voters), recovering));
  }

  /** Returns what was found of a group, perhaps nothing. */
  public RecoveredGroup group(int group) {
    return groups.computeIfAbsent(
        group, number -> new RecoveredGroup(GroupState.first(number, first.apply(number)), self));
  }

  /**
   * Tells whether the records that follow were written before the cut of the checkpoint: then it
   * has all of them but the entries that it says are kept.
   */
  public void beforeCut(boolean before) {
    beforeCut = before;
  }

  @Override
  public void onPosition(long newPosition) {
    position = newPosition;
  }

  @Override
  public void onRecord(RecordHeader record, long payloadPlace) throws RecoveryException {
    int type = record.type();
    if (type == RecordHeader.META || type == RecordHeader.RELOCATE) {
      return;
    }
    boolean isEntry = type != RecordHeader.STATE && type != RecordHeader.JOIN;
    if (beforeCut && (!isEntry || !groups.containsKey(record.group()))) {
      return;
    }
    if (type == RecordHeader.JOIN) {
      begin(record);
      return;
    }
    RecoveredGroup group = group(record.group());
    if (type == RecordHeader.STATE) {
      group.state(
          record.term(),
          (int) record.firstBlock(),
          (record.flags() & RecordHeader.RECOVERING) != 0,
          (record.flags() & RecordHeader.LOST_DISK) != 0,
          record.index());
      return;
    }
    EntryKind kind = EntryKind.PAYLOAD;
    int subject = RaftCore.NO_NODE;
    int length = 0;
    if (type == RecordHeader.MARKER) {
      kind = WireFormat.entryKind(record.flags());
      subject = (int) record.firstBlock();
      if (kind == null || kind == EntryKind.PAYLOAD) {
        throw new RecoveryException(
            "group " + record.group() + ": a marker of the unknown kind " + record.flags());
      }
    } else {
      length = EntryBody.lengthBytes(type, record.blockCount());
    }
    if (bugs.contains(ReplicationBug.KEEP_CONFLICT) && record.index() <= group.lastIndex()) {
      return;
    }
    group.entry(
        record.index(), record.term(), kind, subject, length, position, payloadPlace, beforeCut);
  }

  private void begin(RecordHeader record) throws RecoveryException {
    try {
      Membership members = GroupBeginning.decode(record.command()).membership();
      expect(
          GroupState.begun(
              record.group(), members, (record.flags() & RecordHeader.RECOVERING) != 0));
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("group " + record.group() + ": " + e.getMessage());
    }
  }
}
