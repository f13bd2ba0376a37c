package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.EntryReader;
import io.plinth.log.replication.Replica;
import io.plinth.log.wire.EntryBody;
import org.agrona.UnsafeApi;

/**
 * Applies the committed entries of a group with several members to its volume, in the order of
 * their indexes, a bounded amount at a time. All of them come from the log, also those that were
 * proposed here: memory that a request refers to may have left before it is committed.
 *
 * <p>Entries of one request (see {@link RecordHeader#PART}) are applied together. A leader that
 * dies may leave the first of them only: the next leader's entries are of another term, and then
 * they have no effect anywhere.
 */
final class GroupApplier {
  private static final int BLOCKS_PER_CYCLE = 256;
  private static final int ENTRIES_PER_CYCLE = 64;

  /** Parts of a request before its last one: two edges and what is between them are three. */
  private static final int MAX_PARTS = 2;

  private static final int SKIPPED = 40;

  private final LogVolume volume;
  private final Replica replica;
  private final EntryReader reader;
  private final EntryBody body = new EntryBody();
  private final boolean tearsRequests;
  private final boolean skipsEntries;
  private final boolean isEager;

  /** Up to here everything is in the index. */
  private long applied;

  /** Up to here entries were looked at; parts of a request wait for its last one. */
  private long scanned;

  private int parts;
  private final int[] partTypes = new int[MAX_PARTS];
  private final int[] partFlags = new int[MAX_PARTS];
  private final long[] partFirst = new long[MAX_PARTS];
  private final int[] partBlocks = new int[MAX_PARTS];
  private final long[] partPlaces = new long[MAX_PARTS];
  private final int[] partChecksums = new int[MAX_PARTS];

  GroupApplier(
      VolumeStore store, LogVolume volume, Replica replica, EntryReader reader, long applied) {
    this.volume = volume;
    this.replica = replica;
    this.reader = reader;
    this.applied = applied;
    this.scanned = applied;
    this.tearsRequests = store.isPlanted(PlantedBug.APPLY_TORN_REQUEST);
    this.skipsEntries = store.isPlanted(PlantedBug.APPLY_SKIPS_ENTRY);
    this.isEager = store.isPlanted(PlantedBug.APPLY_BEFORE_COMMIT);
  }

  /** Returns up to which entry all are in the index. */
  long applied() {
    return applied;
  }

  /** Returns whether there are committed entries to look at. */
  boolean isBehind() {
    return scanned < target() && !replica.isStopped();
  }

  private long target() {
    return isEager && replica.isRunning() ? replica.lastIndex() : replica.committedIndex();
  }

  /** What was looked at and is not applied may be replaced. */
  void onCommittedLost() {
    scanned = applied;
    parts = 0;
  }

  /** Applies some of what is committed; returns how many entries were looked at. */
  int advance() {
    long before = applied;
    long target = target();
    int entries = 0;
    int blocks = 0;
    while (scanned < target && entries < ENTRIES_PER_CYCLE && blocks < BLOCKS_PER_CYCLE) {
      long index = scanned + 1;
      if (replica.isPayload(index)) {
        EntryReader.Found found = reader.find(replica, index, target, body);
        int pages = found == EntryReader.Found.HERE ? bring() : Status.OK;
        if (found == EntryReader.Found.LATER || pages == Status.EAGAIN) {
          break;
        }
        if (pages != Status.OK) {
          replica.stop(describe(index) + ": its part of the index can't be read");
          break;
        }
        if (found == EntryReader.Found.DAMAGED || !take(index)) {
          replica.stop(
              describe(index)
                  + (found == EntryReader.Found.DAMAGED ? " can't be read" : " makes no sense")
                  + ": this node needs a resync");
          break;
        }
        blocks += body.type == RecordHeader.WRITE ? body.count : 0;
      } else {
        parts = 0;
        applied = index;
      }
      scanned = index;
      entries++;
    }
    if (applied != before) {
      replica.applied(applied);
    }
    return entries;
  }

  private String describe(long index) {
    return "group " + replica.group() + " (" + volume.name() + "): entry " + index;
  }

  /** Applies an entry, or keeps it until the rest of its request is there. */
  private boolean take(long index) {
    if (parts > 0 && replica.entryTerm(index) != replica.entryTerm(index - 1)) {
      parts = 0;
    }
    if (!isPossible()) {
      return false;
    }
    if (isPart()) {
      return keep();
    }
    for (int i = 0; i < parts; i++) {
      if (partTypes[i] == RecordHeader.WRITE) {
        volume.index().put(partFirst[i], partPlaces[i], partChecksums[i], index - parts + i);
      } else {
        unmap(partFirst[i], partBlocks[i], partFlags[i], index - parts + i);
      }
    }
    parts = 0;
    applied = index;
    return (skipsEntries && index % SKIPPED == 0) || apply(index);
  }

  private boolean isPart() {
    return body.type != RecordHeader.COMMAND
        && (body.flags & RecordHeader.PART) != 0
        && !tearsRequests;
  }

  /** Brings the pages of the index that the entry, and the parts before it, change. */
  private int bring() {
    if (!isPossible() || isPart()) {
      return Status.OK;
    }
    if (body.type == RecordHeader.COMMAND) {
      VolumeCommand command = command();
      boolean resizes = command != null && command.kind() == VolumeCommand.Kind.RESIZE;
      return resizes ? volume.bringForSize(command.number()) : Status.OK;
    }
    int found = bring(body.type, body.firstBlock, body.count);
    for (int i = 0; i < parts; i++) {
      found = IndexSpace.worse(found, bring(partTypes[i], partFirst[i], partBlocks[i]));
    }
    return found;
  }

  private int bring(int type, long first, int count) {
    return type == RecordHeader.WRITE
        ? volume.index().bring(first, first + count - 1)
        : volume.index().bringEdges(first, count);
  }

  private boolean isPossible() {
    long blocks = volume.index().blocks();
    return switch (body.type) {
      case RecordHeader.WRITE, RecordHeader.UNMAP ->
          body.firstBlock >= 0
              && body.firstBlock < blocks
              && body.count <= blocks - body.firstBlock;
      default -> body.type == RecordHeader.COMMAND;
    };
  }

  private boolean keep() {
    if (parts == MAX_PARTS || (body.type == RecordHeader.WRITE && body.count > 1)) {
      return false;
    }
    partTypes[parts] = body.type;
    partFlags[parts] = body.flags;
    partFirst[parts] = body.firstBlock;
    partBlocks[parts] = body.count;
    partPlaces[parts] = body.place;
    partChecksums[parts] =
        body.type == RecordHeader.WRITE ? UnsafeApi.getInt(body.trailerAddress) : 0;
    parts++;
    return true;
  }

  private boolean apply(long index) {
    if (body.type == RecordHeader.COMMAND) {
      return applyCommand(index);
    }
    if (body.type == RecordHeader.UNMAP) {
      unmap(body.firstBlock, body.count, body.flags, index);
      return true;
    }
    for (int i = 0; i < body.count; i++) {
      int checksum = UnsafeApi.getInt(body.trailerAddress + 4L * i);
      volume.index().put(body.firstBlock + i, body.place + i, checksum, index);
    }
    return true;
  }

  private void unmap(long first, int blocks, int flags, long index) {
    volume.index().unmap(first, blocks, (flags & RecordHeader.ALLOCATED) != 0, index);
  }

  private boolean applyCommand(long index) {
    VolumeCommand command = command();
    return command != null && volume.applyReplicated(command, index);
  }

  /** Returns the command of the entry; null when it makes no sense. */
  private VolumeCommand command() {
    byte[] bytes = new byte[body.count];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = UnsafeApi.getByte(body.trailerAddress + i);
    }
    try {
      return VolumeCommand.decode(bytes);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
