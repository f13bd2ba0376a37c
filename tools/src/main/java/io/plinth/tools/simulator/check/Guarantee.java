package io.plinth.tools.simulator.check;

/** What a node promises; the first ones have the numbers that the design gives them. */
public enum Guarantee {
  /** A read returns what was acknowledged last, or something concurrent with the read. */
  G1("a read returns the newest acknowledged write"),
  /** Durable data outlives the loss of power. */
  G2("what was flushed survives the loss of power"),
  /** Acknowledged data outlives the process. */
  G3("what was acknowledged survives the death of the process"),
  /** Requests are atomic. */
  G4("a write request is there as a whole or not at all"),
  /** Damage is an error and never data. */
  G5("damage to the disk is an error where it is, and never data"),
  /** Rot is told from a torn tail. */
  G6("a log is cut where it was unfinished, refused where it rotted, opened otherwise"),
  /** Nobody works on with what he has seen and is lost. */
  G7("clients are disconnected when acknowledged writes may have been lost"),
  /** A full disk wedges nothing. */
  G8("a full disk fails writes only"),
  /** After a failed sync nothing is acknowledged. */
  FAIL_STOP("nothing is acknowledged after a failed sync"),
  /** The allocation that is reported is the same after a replay. */
  REPLAY("replay gives the index that was there before"),
  /** A snapshot does not change, and a clone is what its source was. */
  SNAPSHOT("a snapshot is what the volume was at one moment, and stays that"),
  /** What nobody refers to is free, and nothing else. */
  SPACE("what is alive in the log is what volumes and snapshots refer to"),
  /** Volumes are there when they were created and gone when they were deleted. */
  CATALOGUE("volumes are created and deleted for good"),
  /** A volume has the settings that were acknowledged last. */
  SETTINGS("settings of a volume are those that were acknowledged last"),
  /** All replicas of a volume become the same. */
  REPLICAS("replicas become equal"),
  /** Every request ends, and with a status that makes sense. */
  PROGRESS("every request ends");

  private final String text;

  Guarantee(String text) {
    this.text = text;
  }

  /** Returns the promise in a few words. */
  public String text() {
    return text;
  }
}
