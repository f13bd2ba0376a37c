package io.plinth.log.recovery;

/**
 * What recovery does with the place where a batch should be. Exactly one row matches each
 * combination of inputs; {@code RecoveryDecisionTest} enumerates them all.
 *
 * <pre>
 *  row                     header   payload  durable  boot   successor   outcome
 *  BATCH_GOOD              valid    good     -        -      -           ACCEPT
 *  PAYLOAD_ROT_DURABLE     valid    bad      yes      -      -           ACCEPT_ROTTEN
 *  PAYLOAD_ROT_CACHED      valid    bad      no       same   -           ACCEPT_ROTTEN
 *  PAYLOAD_TORN            valid    bad      no       other  -           CUT
 *  HEADER_ROT_DURABLE      invalid  -        yes      -      -           REFUSE
 *  HEADER_ROT_CACHED       invalid  -        no       same   yes         REFUSE
 *  TAIL_UNFINISHED         invalid  -        no       same   no          CUT
 *  TAIL_TORN               invalid  -        no       other  -           CUT
 * </pre>
 *
 * <ul>
 *   <li>header: whether a batch that continues the chain has a header with the right checksum here.
 *   <li>payload: whether all payload blocks match their checksums.
 *   <li>durable: whether the batch is at or below the position that is known to have been durable.
 *   <li>boot: whether the machine has not been restarted since the log was written, so that the
 *       page cache is intact. A header is written after its payload; in an intact page cache a
 *       valid header therefore proves that the payload was complete.
 *   <li>successor: whether a batch with a higher sequence follows further on, which proves that
 *       this one was complete once.
 * </ul>
 */
public enum RecoveryDecision {
  /** The batch is good. */
  BATCH_GOOD(Outcome.ACCEPT, Match.YES, Match.YES, Match.ANY, Match.ANY, Match.ANY),
  /**
   * The disk lost payload that had been durable. Its blocks read as errors until they are written
   * again; recovery accepts such a batch without reading its payload, and every later read checks.
   */
  PAYLOAD_ROT_DURABLE(Outcome.ACCEPT_ROTTEN, Match.YES, Match.NO, Match.YES, Match.ANY, Match.ANY),
  /** The batch was complete when the process died, so its payload has rotted since. */
  PAYLOAD_ROT_CACHED(Outcome.ACCEPT_ROTTEN, Match.YES, Match.NO, Match.NO, Match.YES, Match.ANY),
  /** The machine went down while payload was on its way to the disk. */
  PAYLOAD_TORN(Outcome.CUT, Match.YES, Match.NO, Match.NO, Match.NO, Match.ANY),
  /** A durable batch is gone: cutting here would silently lose it. */
  HEADER_ROT_DURABLE(Outcome.REFUSE, Match.NO, Match.ANY, Match.YES, Match.ANY, Match.ANY),
  /** Later batches prove that this one was complete in an intact page cache. */
  HEADER_ROT_CACHED(Outcome.REFUSE, Match.NO, Match.ANY, Match.NO, Match.YES, Match.YES),
  /** The process died before the batch was sealed, or the log simply ends here. */
  TAIL_UNFINISHED(Outcome.CUT, Match.NO, Match.ANY, Match.NO, Match.YES, Match.NO),
  /**
   * The machine went down while the tail was on its way to the disk; what follows was not durable
   * either.
   */
  TAIL_TORN(Outcome.CUT, Match.NO, Match.ANY, Match.NO, Match.NO, Match.ANY);

  /** What is done. */
  public enum Outcome {
    /** The batch is part of the log. */
    ACCEPT,
    /** The batch is part of the log; blocks that do not match their checksums fail to be read. */
    ACCEPT_ROTTEN,
    /** The log ends before this place. */
    CUT,
    /** The log is not opened. */
    REFUSE
  }

  private enum Match {
    YES,
    NO,
    ANY;

    boolean matches(boolean value) {
      return this == ANY || (this == YES) == value;
    }
  }

  private final Outcome outcome;
  private final Match headerValid;
  private final Match payloadGood;
  private final Match durable;
  private final Match sameBoot;
  private final Match successor;

  RecoveryDecision(
      Outcome outcome,
      Match headerValid,
      Match payloadGood,
      Match durable,
      Match sameBoot,
      Match successor) {
    this.outcome = outcome;
    this.headerValid = headerValid;
    this.payloadGood = payloadGood;
    this.durable = durable;
    this.sameBoot = sameBoot;
    this.successor = successor;
  }

  /** Returns what this row does. */
  public Outcome outcome() {
    return outcome;
  }

  /** Returns whether this row covers a combination of inputs. */
  boolean matches(
      boolean header, boolean payload, boolean isDurable, boolean boot, boolean follows) {
    return headerValid.matches(header)
        && payloadGood.matches(payload)
        && durable.matches(isDurable)
        && sameBoot.matches(boot)
        && successor.matches(follows);
  }

  /** Returns the row that covers a combination of inputs. */
  static RecoveryDecision of(
      boolean header, boolean payload, boolean isDurable, boolean boot, boolean follows) {
    for (RecoveryDecision row : values()) {
      if (row.matches(header, payload, isDurable, boot, follows)) {
        return row;
      }
    }
    throw new IllegalStateException("no row matches");
  }
}
