package io.plinth.log.replication;

import io.plinth.engine.api.Completion;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.EntrySource;
import io.plinth.log.wire.WireFormat;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import java.util.zip.CRC32C;

/**
 * Entries of one APPEND that are read from the disk, because their segments have left memory.
 *
 * <p>The records and the payload of as many entries as fit are read in a few pieces; nothing of
 * them is told before the checksum of the batch that the record is in, and those of the payload,
 * have been found right. Where the batch begins is not known: some blocks around the record are
 * read along, and more of them when that was not enough.
 */
final class ReadWindow implements EntrySource, Completion {
  /** How much is read at a time; a single entry that is larger goes alone. */
  static final int WINDOW_BYTES = 1 << 20;

  /** How many ways there are to read an entry before it is taken for damaged. */
  static final int ATTEMPTS = 3;

  private static final int BLOCK = LogFormat.BLOCK_BYTES;

  /** The largest entry, its checksums, and the blocks around its record. */
  private static final int MAX_BYTES = WireFormat.MAX_PAYLOAD_BYTES + WINDOW_BYTES;

  private static final int MAX_RUNS = 16;

  /** Pieces so many blocks apart are read as one. */
  private static final int GAP_BLOCKS = 8;

  /** Blocks that are verified in one duty cycle, which takes about 0.1 ms. */
  private static final int VERIFIED_BLOCKS = WINDOW_BYTES / BLOCK;

  /**
   * Blocks on both sides of a record that are searched for its batch. The last attempt is for a
   * record beside a block that can't be read.
   */
  private static int around(int attempt) {
    return switch (attempt) {
      case 0 -> 4;
      case 1 -> 32;
      default -> 0;
    };
  }

  private final Journal journal;
  private final boolean unchecked;
  private final boolean recordsOnly;
  private final int blocksPerSegment;
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();
  private final EntryBody body = new EntryBody();
  private final CRC32C crc = new CRC32C();

  /** Reserved when needed. */
  private NativeMemory memory;

  private int used;
  private int committed;

  // Pieces: where in the log, where in memory, and how much has arrived.
  private final long[] runPlaces = new long[MAX_RUNS];
  private final int[] runBlocks = new int[MAX_RUNS];
  private final int[] runOffsets = new int[MAX_RUNS];
  private final int[] runReadBytes = new int[MAX_RUNS];
  private int runCount;
  private int submitted;
  private int ended;

  // Entries: where their records and payloads are, in the log and in memory.
  private final long[] positions = new long[WireFormat.MAX_ENTRIES];
  private final long[] places = new long[WireFormat.MAX_ENTRIES];
  private final int[] recordRuns = new int[WireFormat.MAX_ENTRIES];
  private final int[] payloadRuns = new int[WireFormat.MAX_ENTRIES];
  private int group;
  private long firstIndex;
  private int firstOfMessage;
  private int planned;
  private int verified;
  private int verifiedBlocks;
  private long goodBatchFrom;
  private long goodBatchTo;
  private int loans;

  /**
   * Creates one that holds no memory yet.
   *
   * @param recordsOnly whether nobody wants the payload
   * @param unchecked a mistake that tests make
   */
  ReadWindow(Journal journal, boolean recordsOnly, boolean unchecked) {
    this.journal = journal;
    this.recordsOnly = recordsOnly;
    this.unchecked = unchecked;
    this.blocksPerSegment = journal.blocksPerSegment();
  }

  long heldBytes() {
    return committed;
  }

  /** Returns whether the connection still has some of it. */
  boolean isLent() {
    return loans > 0;
  }

  /** Returns whether all that was asked for has been read, or could not be. */
  boolean isRead() {
    return ended == runCount;
  }

  /** Returns how many entries are right, from the first on. */
  int verifiedEntries() {
    return verified;
  }

  /** Returns the index of the last entry that is right. */
  long lastVerified() {
    return firstIndex + verified - 1;
  }

  /**
   * Decides what to read. Nothing may be lent or in flight.
   *
   * @param from number of the first entry of the message
   * @param attempt 0, or one more when the first entry was not right
   */
  void plan(int entriesGroup, Message message, int from, EntrySource source, int attempt) {
    if (memory == null) {
      memory = NativeMemory.reserve(MAX_BYTES);
    }
    group = entriesGroup;
    firstOfMessage = from;
    firstIndex = message.index + 1 + from;
    used = 0;
    runCount = 0;
    submitted = 0;
    ended = 0;
    planned = 0;
    verified = 0;
    verifiedBlocks = 0;
    goodBatchTo = 0;
    for (int i = from; i < message.entryCount && planned < WireFormat.MAX_ENTRIES; i++) {
      positions[planned] = -1;
      if (message.kinds[i] == EntryKind.PAYLOAD) {
        if (source.describe(message.index + 1 + i, body)
            || !planEntry(message.lengthsBytes[i], around(attempt))) {
          break;
        }
      }
      planned++;
    }
    committed = Math.max(committed, used);
  }

  /** Adds the entry that {@link #body} tells the places of; false when it does not fit. */
  private boolean planEntry(int lengthBytes, int around) {
    int runsBefore = runCount;
    int usedBefore = used;
    int blocksBefore = runCount == 0 ? 0 : runBlocks[runCount - 1];
    // Whether it is a WRITE or a COMMAND is not known before it is read.
    int trailer = lengthBytes <= WireFormat.MAX_HEADER_BYTES ? lengthBytes : lengthBytes / 1024;
    long block = body.position / BLOCK;
    long segment = block & -blocksPerSegment;
    long end = segment + blocksPerSegment;
    long last = (body.position + RecordHeader.BYTES + trailer + 7) / BLOCK;
    int recordRun = addRun(Math.max(segment, block - around), Math.min(end, last + 1 + around));
    int payloadRun = -1;
    int payloadBlocks = lengthBytes % BLOCK == 0 && !recordsOnly ? lengthBytes / BLOCK : 0;
    long payloadEnd = (body.place & -blocksPerSegment) + blocksPerSegment;
    if (payloadBlocks > 0 && recordRun >= 0 && body.place + payloadBlocks <= payloadEnd) {
      payloadRun = addRun(body.place, body.place + payloadBlocks);
      recordRun = payloadRun < 0 ? -1 : recordRun;
    }
    if (recordRun < 0 || (planned > 0 && used > WINDOW_BYTES)) {
      runCount = runsBefore;
      used = usedBefore;
      if (runCount > 0) {
        runBlocks[runCount - 1] = blocksBefore;
      }
      return false;
    }
    positions[planned] = body.position;
    places[planned] = body.place;
    recordRuns[planned] = recordRun;
    payloadRuns[planned] = payloadRun;
    return true;
  }

  /** Has blocks read; returns the number of the piece that they are in, -1 without room. */
  private int addRun(long from, long to) {
    for (int i = runCount - 1; i >= 0; i--) {
      if (from >= runPlaces[i] && to <= runPlaces[i] + runBlocks[i]) {
        return i;
      }
    }
    int newest = runCount - 1;
    if (newest >= 0
        && from >= runPlaces[newest]
        && from <= runPlaces[newest] + runBlocks[newest] + GAP_BLOCKS
        && (from & -blocksPerSegment) == (runPlaces[newest] & -blocksPerSegment)) {
      int more = (int) (to - runPlaces[newest] - runBlocks[newest]);
      if (used + (long) more * BLOCK > MAX_BYTES) {
        return -1;
      }
      runBlocks[newest] += more;
      used += more * BLOCK;
      return newest;
    }
    long bytes = (to - from) * BLOCK;
    if (runCount == MAX_RUNS || used + bytes > MAX_BYTES) {
      return -1;
    }
    runPlaces[runCount] = from;
    runBlocks[runCount] = (int) (to - from);
    runOffsets[runCount] = used;
    used += (int) bytes;
    return runCount++;
  }

  /** Asks for what is still to be read, as far as the ring has slots. */
  void submit() {
    while (submitted < runCount) {
      int run = submitted;
      if (journal.segment((int) (runPlaces[run] / blocksPerSegment)) == null) {
        // The log has given it up.
        runReadBytes[run] = 0;
        submitted++;
        ended++;
        continue;
      }
      long address = memory.address() + runOffsets[run];
      if (!journal.readAside(runPlaces[run], runBlocks[run], address, this, run)) {
        return;
      }
      // A segment that is read is not given up.
      long _ = journal.pin(runPlaces[run]);
      submitted++;
    }
  }

  @Override
  public void onComplete(long context, int result) {
    int run = (int) context;
    runReadBytes[run] = Math.max(0, result);
    journal.release(runPlaces[run] / blocksPerSegment);
    ended++;
  }

  /**
   * Verifies entries, a bounded amount of them.
   *
   * @return true when that is done: all are right, or the first that is not has been found
   */
  boolean verify(Message message) {
    int budget = VERIFIED_BLOCKS;
    while (verified < planned) {
      int i = firstOfMessage + verified;
      if (positions[verified] < 0) {
        verified++;
        continue;
      }
      if (!isRecordRight(message.terms[i], message.lengthsBytes[i])) {
        return true;
      }
      boolean hasPayload = record.type() == RecordHeader.WRITE && !recordsOnly;
      int blocks = hasPayload ? record.blockCount() : 0;
      for (; verifiedBlocks < blocks; verifiedBlocks++) {
        if (budget-- == 0) {
          return false;
        }
        long address = payloadAddress(verified) + (long) verifiedBlocks * BLOCK;
        if (!unchecked && memory.crc32c(crc, address, BLOCK) != record.checksum(verifiedBlocks)) {
          return true;
        }
      }
      verifiedBlocks = 0;
      verified++;
    }
    return true;
  }

  /** Returns whether the next entry's record is what was written; it is wrapped then. */
  private boolean isRecordRight(long term, int lengthBytes) {
    int run = recordRuns[verified];
    long address = recordAddress(verified);
    long runEnd = memory.address() + runOffsets[run] + runReadBytes[run];
    if (address + RecordHeader.BYTES > runEnd) {
      return false;
    }
    record.wrap(address, (int) (runEnd - address));
    boolean hasPayload = record.type() == RecordHeader.WRITE && !recordsOnly;
    boolean expected =
        record.group() == group
            && record.index() == firstIndex + verified
            && record.term() == term
            && isLengthRight(lengthBytes)
            && record.isPossible((int) (runEnd - address), Integer.MAX_VALUE);
    if (!expected || (hasPayload && !isPayloadThere())) {
      return false;
    }
    int bytes = RecordHeader.encodedBytes(record.type(), record.blockCount());
    return unchecked || isInGoodBatch(run, address, bytes);
  }

  private boolean isLengthRight(int lengthBytes) {
    return switch (record.type()) {
      case RecordHeader.WRITE, RecordHeader.COMMAND ->
          EntryBody.lengthBytes(record.type(), record.blockCount()) == lengthBytes;
      case RecordHeader.UNMAP -> lengthBytes == 0;
      default -> false;
    };
  }

  private boolean isPayloadThere() {
    int run = payloadRuns[verified];
    long bytes = (long) record.blockCount() * BLOCK;
    return run >= 0 && (places[verified] - runPlaces[run]) * BLOCK + bytes <= runReadBytes[run];
  }

  /** Returns whether a batch has the record, and its header's checksum is right. */
  private boolean isInGoodBatch(int run, long address, int bytes) {
    if (address >= goodBatchFrom && address + bytes <= goodBatchTo) {
      return true;
    }
    long runStart = memory.address() + runOffsets[run];
    long runEnd = runStart + runReadBytes[run];
    long own = runStart + ((address - runStart) & -BLOCK);
    for (long block = own; block >= runStart; block -= BLOCK) {
      for (int at = BatchHeader.find(block, 0);
          at >= 0 && block + at < address;
          at = BatchHeader.find(block, at + BatchHeader.ALIGNMENT)) {
        if (isGoodBatch(run, block + at, address + bytes, runEnd)) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean isGoodBatch(int run, long start, long recordEnd, long runEnd) {
    long inRun = start - memory.address() - runOffsets[run];
    int inSegment = (int) (runPlaces[run] & (blocksPerSegment - 1)) * BLOCK + (int) inRun;
    batch.wrap(start, BatchHeader.BYTES);
    if (start + BatchHeader.BYTES > runEnd
        || !batch.isPossible(inSegment, blocksPerSegment * BLOCK)
        || start + batch.headerBytes() > runEnd
        || start + batch.headerBytes() < recordEnd
        || batch.checksum(memory, crc, start) != batch.headerCrc()) {
      return false;
    }
    goodBatchFrom = start;
    goodBatchTo = start + batch.headerBytes();
    return true;
  }

  private long recordAddress(int entry) {
    int run = recordRuns[entry];
    return memory.address() + runOffsets[run] + (positions[entry] - runPlaces[run] * BLOCK);
  }

  private long payloadAddress(int entry) {
    int run = payloadRuns[entry];
    return memory.address() + runOffsets[run] + (places[entry] - runPlaces[run]) * BLOCK;
  }

  @Override
  public boolean describe(long index, EntryBody entry) {
    int number = (int) (index - firstIndex);
    if (number < 0 || number >= verified || positions[number] < 0) {
      return false;
    }
    record.wrap(recordAddress(number), RecordHeader.BYTES);
    EntryBody _ = entry.clear();
    entry.type = record.type();
    entry.flags = record.flags();
    entry.firstBlock = record.firstBlock();
    entry.count = record.blockCount();
    entry.trailerAddress = record.checksumAddress();
    entry.place = places[number];
    entry.position = positions[number];
    if (entry.payloadBytes() > 0 && !recordsOnly) {
      entry.payloadAddress = payloadAddress(number);
      entry.region = payloadRuns[number];
    }
    return true;
  }

  @Override
  public long pin(EntryBody entry) {
    loans++;
    return 0;
  }

  @Override
  public void release(long token) {
    loans--;
  }

  /**
   * Gives some of the memory back: giving back much at a time would keep the core.
   *
   * @return 0 when there is none left
   */
  int shrink() {
    if (memory == null) {
      return 0;
    }
    if (committed > WINDOW_BYTES) {
      committed = Math.max(WINDOW_BYTES, committed - WINDOW_BYTES);
      boolean _ = memory.discard(committed, Math.min(WINDOW_BYTES, MAX_BYTES - committed));
    } else {
      free();
    }
    return 1;
  }

  /** Frees the memory; nothing may be lent or in flight. */
  void free() {
    if (memory != null) {
      memory.close();
      memory = null;
      committed = 0;
    }
  }
}
