package io.plinth.log.journal;

/**
 * Mistakes that can be switched on in tests, each at the place where a programmer would make it, to
 * prove that the simulator's checkers can fail. Production passes an empty set.
 */
public enum PlantedBug {
  /** The journal calls batches durable without having synced them. */
  SKIP_FDATASYNC,
  /** A failed sync is tried again until it succeeds, though the kernel has dropped the pages. */
  RETRY_FAILED_SYNC,
  /** A start takes for written what the page cache holds, though a sync of it may have failed. */
  TAIL_NOT_REWRITTEN,
  /** A writing request is acknowledged before its batch is sealed. */
  ACK_BEFORE_APPEND,
  /** A request that asks for durability is acknowledged when it is appended. */
  ACK_FUA_EARLY,
  /** The records of one request go into several batches, so that a crash can tear it. */
  SPLIT_WRITE,
  /** Recovery cuts the log where it should refuse to open it. */
  CUT_DURABLE_TAIL,
  /** Recovery leaves out what was trimmed and zeroed. */
  FORGET_UNMAP_ON_REPLAY,
  /** A block is returned though it does not match its checksum. */
  SKIP_READ_CHECKSUM,
  /** Recovery takes a batch that does not continue the chain, such as one of an earlier life. */
  IGNORE_CHAIN_CRC,
  /** A batch goes on in a header block that was synced already. */
  SHARE_SYNCED_HEADER,
  /** Recovery leaves headers in place which share a block with the last batch that it accepts. */
  KEEP_SHARED_TAIL,
  /** Segments are freed that hold the durable checkpoint. */
  FREE_BEFORE_CHECKPOINT,
  /** Segments are freed before that is durable by which nothing in them is needed. */
  FREE_BEFORE_DURABLE,
  /** A page that a checkpoint has not written yet is changed without a copy. */
  CHANGE_PENDING_PAGE,
  /** A snapshot's pages are not counted as shared. */
  LOSE_SNAPSHOT_REFERENCE,
  /** A page that trees share is changed without a copy. */
  CHANGE_SHARED_PAGE,
  /** What only a deleted tree refers to stays counted as alive. */
  KEEP_DELETED_REFERENCES,
  /** Trims are left out when a volume is restored as it was. */
  RESTORE_FORGETS_UNMAP,
  /** A scrub passes over what it can't read. */
  SCRUB_SKIPS_UNREADABLE,
  /** A scrub does not ask whether a block is still alive. */
  SCRUB_REPORTS_DEAD,
  /** Changed settings of a volume are answered before they are durable. */
  SETTINGS_BEFORE_DURABLE,
  /** A checkpoint leaves the settings of volumes out. */
  CHECKPOINT_FORGETS_SETTINGS,
  /** A checkpoint leaves out which entries of each group it has. */
  CHECKPOINT_FORGETS_BASE,
  /** Entries of a group with several members are applied as soon as they are in the log. */
  APPLY_BEFORE_COMMIT,
  /** An entry is left out when it is applied from the log. */
  APPLY_SKIPS_ENTRY,
  /** Some entries of a request are applied though the others never came. */
  APPLY_TORN_REQUEST,
  /** A replica that has led answers reads without asking whether it still does. */
  READ_AS_DEPOSED,
  /** A start takes entries for applied that were kept because they were not. */
  REPLAY_SKIPS_KEPT,
  /** A checkpoint gives up the log before its cut, though it holds entries that are kept. */
  CHECKPOINT_DROPS_KEPT,
  /** A page of the index is dropped though it was changed since it was written. */
  DROP_DIRTY_PAGE,
  /** What is below a dropped page of the index reads as if it were unmapped. */
  DROPPED_READS_AS_UNMAPPED,
  /** A dropped page of the index is read from where it was when it was first dropped. */
  STALE_PLACE_ON_RELOAD,
  /** A member that is brought up to date does not get some leaves of the index. */
  RESYNC_MISSES_LEAF,
  /** A resync tells of what was applied since as if the member had been given it. */
  RESYNC_BASE_TOO_NEW,
  /** A member that was brought up to date takes part without waiting for the checkpoint. */
  RESYNC_BEGINS_EARLY,
  /** What a resync has changed still counts as being as old as it was. */
  RESYNC_KEEPS_STAMPS,
  /** What a resync has of a leaf counts as all of it, also when the session ends there. */
  RESYNC_STAMPS_EARLY,
  /** A resync takes blocks with the same checksum for the same. */
  RESYNC_TRUSTS_CHECKSUMS,
  /** What a peer has of a damaged block is taken without asking whether it is the same. */
  MEND_TRUSTS_PEER,
  /** Members that are compared say what they have when they are asked, not as of one entry. */
  VERIFY_FREEZES_LATE
}
