package io.plinth.log.replication;

import java.util.TreeMap;

/**
 * Reads of whoever thinks that it leads, asked as a client does: the request lies at the core
 * before the core looks at its clock. One that is granted must see all that had been acknowledged
 * when it was asked for.
 */
final class ReadCheck {
  private record Read(long floor, GroupNode node, int life) {}

  private final TreeMap<Long, Read> reads = new TreeMap<>();
  private long nextId = 1;
  int granted;

  /** Asks a node's replica to read what has been acknowledged up to {@code floor} at least. */
  void ask(GroupNode node, Replica replica, long floor) {
    long id = nextId++;
    int life = node.life;
    reads.put(id, new Read(floor, node, life));
    boolean _ =
        node.core.execute(() -> {
          if (node.life == life && replica.read(id) != 0) {
            reads.remove(id);
          }
        });
  }

  /** Returns what is wrong with a read that is granted, or null. */
  String granted(long id, long index) {
    Read read = reads.remove(id);
    if (read == null) {
      return "read " + id + " is answered though it was not asked, or twice";
    }
    granted++;
    return index >= read.floor
        ? null
        : "node "
            + read.node.number
            + " reads as of entry "
            + index
            + " though "
            + read.floor
            + " had been acknowledged";
  }

  void refused(long id) {
    reads.remove(id);
  }

  /** More was lost than acknowledgements survive: nobody can expect what is gone. */
  void lost(long kept) {
    reads.replaceAll((id, read) -> new Read(Math.min(kept, read.floor), read.node, read.life));
  }

  /** Forgets reads of lives that are over. */
  void forgetDead() {
    reads.values().removeIf(read -> read.life != read.node.life || !read.node.up);
  }

  int pending() {
    return reads.size();
  }
}
