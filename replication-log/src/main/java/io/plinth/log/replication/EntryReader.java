package io.plinth.log.replication;

import io.plinth.log.format.LogFormat;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.WireFormat;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the records of entries for whoever applies them, of all groups of a log: in memory, else on
 * the disk, where a window of them at a time is read aside. What comes from the disk is told only
 * if the checksum of its batch is right; payload is not read, because the index names it together
 * with the checksum that it must have.
 */
public final class EntryReader {
  private static final Logger LOG = LoggerFactory.getLogger(EntryReader.class);

  /** What became of an entry that was looked for. */
  public enum Found {
    /** It is described. */
    HERE,
    /** It is being read, or something else is: ask again in the next duty cycle. */
    LATER,
    /** The disk holds something else. */
    DAMAGED
  }

  private final Replicator replicator;
  private final ReadWindow window;
  private final Message message = new Message();

  /** Whose entries the window holds, or is about to. */
  private Replica owner;

  private boolean verified;
  private int attempt;
  private long readEntries;

  EntryReader(Replicator replicator) {
    this.replicator = replicator;
    this.window = new ReadWindow(replicator.journal(), true, false);
  }

  /** Returns how many entries were read from the disk. */
  public long readEntries() {
    return readEntries;
  }

  /**
   * Looks for an entry of kind PAYLOAD that is not compacted.
   *
   * @param last others up to this index will be wanted too
   * @param entry filled in when it is here, but for the address of its payload; the addresses are
   *     valid until something else is looked for
   */
  public Found find(Replica replica, long index, long last, EntryBody entry) {
    if (replica.source().describe(index, entry) || entry.trailerAddress != 0) {
      return Found.HERE;
    }
    if (owner != null && !window.isRead()) {
      window.submit();
      return Found.LATER;
    }
    boolean mine = owner == replica && index > message.index;
    if (mine && index <= message.index + message.entryCount) {
      if (verified && window.describe(index, entry)) {
        readEntries++;
        return Found.HERE;
      }
      if (!verified) {
        return verify(replica, index, last, entry);
      }
    }
    attempt = 0;
    read(replica, index, last);
    return Found.LATER;
  }

  private Found verify(Replica replica, long index, long last, EntryBody entry) {
    if (!window.verify(message)) {
      return Found.LATER;
    }
    if (window.verifiedEntries() > 0) {
      verified = true;
      return window.describe(index, entry) ? Found.HERE : Found.LATER;
    }
    if (++attempt < ReadWindow.ATTEMPTS) {
      read(replica, index, last);
      return Found.LATER;
    }
    owner = null;
    boolean _ = replica.source().describe(index, entry);
    LOG.error(
        "{}: entry {} of group {} is damaged or gone, and can't be applied: its record was at {}",
        replicator.self(),
        index,
        replica.group(),
        replicator.journal().describe(entry.position / LogFormat.BLOCK_BYTES));
    return Found.DAMAGED;
  }

  private void read(Replica replica, long index, long last) {
    owner = replica;
    verified = false;
    Message _ = message.reset(MessageType.APPEND, 0, 0);
    message.index = index - 1;
    for (long i = index; i <= last && message.entryCount < WireFormat.MAX_ENTRIES; i++) {
      replica.describeRules(i, message);
    }
    window.plan(replica.group(), message, 0, replica.source(), attempt);
    window.submit();
  }

  /** Gives memory back that nobody needs; nothing may be in flight. */
  void free() {
    window.free();
  }

  /** The same as soon as nothing is being read; to be called when there is nothing to apply. */
  public void relax() {
    if (owner == null || window.isRead()) {
      owner = null;
      int _ = window.shrink();
    }
  }
}
