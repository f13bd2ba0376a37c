package io.plinth.log.replication;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.wire.AppendFrame;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.EntrySource;
import io.plinth.log.wire.WireFormat;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;

/** The entries of one replica as records of the journal: writes them, and finds them for peers. */
final class EntryRecords implements EntrySource {
  private final int group;
  private final Journal journal;
  private final EntryPlaces places;
  private final boolean dropsChecksums;
  private final RecordHeader record = new RecordHeader();
  private final EntryBody body = new EntryBody();
  private long lastIndex;
  private long lastSequence;

  EntryRecords(int group, Journal journal, long baseIndex, boolean dropsChecksums) {
    this.group = group;
    this.journal = journal;
    this.places = new EntryPlaces(baseIndex);
    this.dropsChecksums = dropsChecksums;
  }

  EntryPlaces places() {
    return places;
  }

  /** What recovery has found ends here. */
  void recoveredUpTo(long index) {
    lastIndex = index;
  }

  /** Returns the index of the newest entry that has a record. */
  long lastIndex() {
    return lastIndex;
  }

  /** Returns the journal's batch that the newest of these records is in. */
  long lastSequence() {
    return lastSequence;
  }

  /** Begins the record of an entry that is the caller's; false when the journal refuses. */
  boolean begin(int type, int flags, long term, long index, long firstBlock, int count) {
    if (!journal.begin(type, flags, group, term, index, firstBlock, count)) {
      return false;
    }
    long header = journal.checksumAddress() - RecordHeader.BYTES;
    NativeMemory memory = journal.active().file().memory();
    long base = (long) journal.active().file().slot() * journal.active().file().sizeBytes();
    places.put(index, base + header - memory.address(), journal.payloadPlace());
    lastIndex = index;
    lastSequence = journal.openSequence();
    return true;
  }

  /** Writes the record of an entry that is not the caller's; false when the journal refuses. */
  boolean writeMarker(long index, long term, EntryKind kind, int subject) {
    return begin(RecordHeader.MARKER, WireFormat.number(kind), term, index, subject, 1);
  }

  /**
   * Makes room for all of a frame in one batch: the rules may want any part of it. A segment holds
   * the longest frame and more.
   */
  boolean reserve(AppendFrame frame) {
    int headerBytes = 0;
    int payloadBlocks = 0;
    for (frame.rewind(); frame.next(body); ) {
      int type = body.type == 0 ? RecordHeader.MARKER : body.type;
      headerBytes += RecordHeader.encodedBytes(type, Math.max(1, body.count));
      payloadBlocks += body.payloadBytes() / LogFormat.BLOCK_BYTES;
    }
    frame.rewind();
    return headerBytes == 0 || journal.reserve(headerBytes, payloadBlocks);
  }

  /** Writes entries {@code first} to {@code last} of a frame, for which there is room. */
  void write(AppendFrame frame, long first, long last) {
    Message message = frame.message();
    lastIndex = first - 1;
    frame.rewind();
    for (long index = message.index + 1; index <= last && frame.next(body); index++) {
      if (index < first) {
        continue;
      }
      int i = (int) (index - message.index - 1);
      boolean begun =
          body.type == 0
              ? writeMarker(index, message.terms[i], message.kinds[i], message.subjects[i])
              : writeBody(index, message.terms[i]);
      if (!begun) {
        throw new IllegalStateException("the journal refuses what it had reserved");
      }
    }
  }

  private boolean writeBody(long index, long term) {
    if (!begin(body.type, body.flags, term, index, body.firstBlock, body.count)) {
      return false;
    }
    if (body.trailerBytes() > 0 && !dropsChecksums) {
      // The checksums are those that the leader computed: what is read later is checked from end
      // to end.
      NativeMemory.copy(body.trailerAddress, journal.checksumAddress(), body.trailerBytes());
    }
    if (body.payloadBytes() > 0) {
      NativeMemory.copy(body.payloadAddress, journal.payloadAddress(), body.payloadBytes());
    }
    return true;
  }

  @Override
  public boolean describe(long index, EntryBody entry) {
    long position = places.position(index);
    EntryBody _ = entry.clear();
    entry.position = position;
    entry.place = places.payloadPlace(index);
    long block = journal.residentAddress(position / LogFormat.BLOCK_BYTES);
    if (block == 0) {
      return false;
    }
    record.wrap(block + position % LogFormat.BLOCK_BYTES, RecordHeader.BYTES);
    entry.type = record.type();
    entry.flags = record.flags();
    entry.firstBlock = record.firstBlock();
    entry.count = record.blockCount();
    entry.trailerAddress = record.checksumAddress();
    if (entry.payloadBytes() > 0) {
      entry.payloadAddress = journal.residentAddress(entry.place);
      entry.region = (int) (entry.place / journal.blocksPerSegment());
    }
    return entry.payloadBytes() == 0 || entry.payloadAddress != 0;
  }

  @Override
  public long pin(EntryBody entry) {
    return journal.pin(entry.place);
  }

  @Override
  public void release(long token) {
    journal.release(token);
  }
}
