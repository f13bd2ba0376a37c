package io.plinth.target.volume;

/**
 * What members say to each other in a resync, as {@link io.plinth.log.wire.ResyncFrame#kind}. The
 * member that lacks entries asks, the leader answers in order; a session is named by the former.
 *
 * <pre>
 *  kind           from        tree      leaf         a              b            bytes
 *  1 NEEDED       leader                                                         that entries are kept no more
 *  2 BEGIN        member                its base     term of base   1 stopped,
 *                                                                   2 recovering
 *  3 STATE        leader      trees                                              GroupState as of the trees
 *  4 TREE         member      which
 *  5 TREE_IS      leader      which                  size in bytes  blocks       command SNAPSHOT, none: the volume
 *  6 LEAVES       member      which     from
 *  7 LEAVES_ARE   leader      which     from         next or -1                  each: number, stamp (two u64)
 *  8 MAP          member      which     which
 *  9 MAP_IS       leader      which     which        stamp                       {@link LeafMap}
 * 10 CHECK        member      which     which                                    SHA-256, bitmap of 56 bytes
 * 11 CHECKED      leader      which     which        1 equal
 * 12 GET          member      which     which                       number       offsets in the leaf, each u16
 * 13 BLOCKS       leader      which     which        bitmap of good number       each: 4096
 * 14 END          either                                                         why, for a person
 * </pre>
 *
 * <p>When replicas are compared the leader asks, and members answer; the session is the index of
 * the entry at which all of them have frozen what they have. A position is a leaf and a tree.
 *
 * <pre>
 * 15 HASH         leader      position  position
 * 16 HASHES       member      position  position     to leaf, -1   to tree       {@link VerifyHash}
 * 17 UNFROZEN     member      position  position     1 not yet                   that the entry is not applied, or is over
 * 18 VERIFIED     leader                                                         that nothing more is asked
 * </pre>
 *
 * <p>Who has a damaged block asks any other member; the session is the place where it is.
 *
 * <pre>
 * 19 MEND         any                   block        CRC32C
 * 20 MEND_IS      member                block        1 has it     CRC32C         the block, if it has it
 * </pre>
 */
final class ResyncStep {
  static final int NEEDED = 1;
  static final int BEGIN = 2;
  static final int STATE = 3;
  static final int TREE = 4;
  static final int TREE_IS = 5;
  static final int LEAVES = 6;
  static final int LEAVES_ARE = 7;
  static final int MAP = 8;
  static final int MAP_IS = 9;
  static final int CHECK = 10;
  static final int CHECKED = 11;
  static final int GET = 12;
  static final int BLOCKS = 13;
  static final int END = 14;
  static final int HASH = 15;
  static final int HASHES = 16;
  static final int UNFROZEN = 17;
  static final int VERIFIED = 18;
  static final int MEND = 19;
  static final int MEND_IS = 20;

  /** Flags of BEGIN. */
  static final int STOPPED = 1;

  static final int RECOVERING = 2;

  /** Blocks of one GET. */
  static final int MOST_BLOCKS = 8;

  /** Leaves of one answer. */
  static final int MOST_LEAVES = 64;

  static final int DIGEST_BYTES = 32;
  static final int BITMAP_BYTES = IndexSpace.LEAF_BLOCKS / Byte.SIZE;

  private ResyncStep() {}
}
