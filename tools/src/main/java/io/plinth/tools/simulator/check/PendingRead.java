package io.plinth.tools.simulator.check;

import java.util.ArrayList;
import java.util.List;

/** A read on its way: what each of its sectors may turn out to hold. */
public final class PendingRead {
  final int first;
  final int count;
  final List<List<Long>> possible = new ArrayList<>();
  boolean mayFail;

  PendingRead(int first, int count) {
    this.first = first;
    this.count = count;
    for (int i = 0; i < count; i++) {
      possible.add(new ArrayList<>(2));
    }
  }

  void allow(int sector, long content) {
    if (sector >= first && sector < first + count) {
      possible.get(sector - first).add(content);
    }
  }

  /** Returns whether the part of a block that is read may have been what these stamps are of. */
  boolean mayHaveMet(int start, long[] stamps) {
    for (int i = 0; i < stamps.length; i++) {
      int sector = start + i - first;
      if (sector >= 0 && sector < count && !possible.get(sector).contains(stamps[i])) {
        return false;
      }
    }
    return true;
  }
}
