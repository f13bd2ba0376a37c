package io.plinth.tools.simulator.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What clients of several nodes have asked a volume for, and what a read may return therefore. The
 * volume is looked at as cells of half a block; every WRITE puts its own number into each of its
 * cells.
 *
 * <p>A change has its effect at one moment between its beginning and {@code effectiveBy}: when it
 * was acknowledged, or when a read that returned it ended, whichever is earlier; it may have none
 * at all as long as that is not known. It is over when another one, that is known to have had its
 * effect, began after that moment: then nobody may see it any more.
 */
public final class CellHistory {
  public static final int CELL_BYTES = 2048;

  private static final long UNKNOWN = Long.MAX_VALUE;

  /** So many older changes that nobody may see are left out of a report. */
  private static final int SHOWN = 12;

  /**
   * A client that goes from one node to another. What it asked for through a connection that it has
   * closed happens before all that it asks for through a later one, or never.
   */
  public static final class Sender {
    private int connection;

    /** From now on it asks through another connection, and uses no earlier one any more. */
    public void connectAnew() {
      connection++;
    }
  }

  /** A WRITE, or with value zero what makes cells read as zeroes. */
  public static final class Change {
    private final long number;
    private final long value;
    private final int first;
    private final int cells;
    private final long beginNs;

    /** Who has asked for it; null for somebody who keeps no order. */
    private final Sender sender;

    private final int connection;
    private long effectiveByNs = UNKNOWN;
    private boolean durable;

    /** When its sender has read each cell as something else through a later connection. */
    private final long[] passedNs;

    private Change(long number, long value, int first, int cells, long beginNs, Sender sender) {
      this.sender = sender;
      this.connection = sender == null ? 0 : sender.connection;
      this.passedNs = new long[sender == null ? 0 : cells];
      Arrays.fill(passedNs, UNKNOWN);
      this.number = number;
      this.value = value;
      this.first = first;
      this.cells = cells;
      this.beginNs = beginNs;
    }

    /** Returns what its cells read as. */
    public long value() {
      return value;
    }

    @Override
    public String toString() {
      return (value == 0 ? "zeroes " : "write ")
          + number
          + (sender == null ? "" : " of connection " + connection)
          + " of cells "
          + first
          + "+"
          + cells
          + " from "
          + beginNs / 1000
          + " us to "
          + (effectiveByNs == UNKNOWN ? "?" : effectiveByNs / 1000 + " us");
    }
  }

  private final List<List<Change>> cells = new ArrayList<>();
  private final List<Change> undurable = new ArrayList<>();

  /** Creates the history of an empty volume. */
  public CellHistory(int count) {
    Change nothing = new Change(0, 0, 0, count, 0, null);
    nothing.effectiveByNs = 0;
    nothing.durable = true;
    for (int i = 0; i < count; i++) {
      cells.add(new ArrayList<>(List.of(nothing)));
    }
  }

  /** Returns how many cells there are. */
  public int size() {
    return cells.size();
  }

  /** A change is asked for. */
  public Change begin(long number, boolean zeroes, int first, int count, long nowNs) {
    return begin(number, zeroes, first, count, nowNs, null);
  }

  /** A change is asked for by somebody who goes from node to node. */
  public Change begin(
      long number, boolean zeroes, int first, int count, long nowNs, Sender sender) {
    Change change = new Change(number, zeroes ? 0 : number, first, count, nowNs, sender);
    for (int i = first; i < first + count; i++) {
      cells.get(i).add(change);
    }
    undurable.add(change);
    return change;
  }

  /** A change is acknowledged. */
  public void acknowledge(Change change, boolean durable, long nowNs) {
    change.effectiveByNs = Math.min(change.effectiveByNs, nowNs);
    if (durable) {
      change.durable = true;
      boolean _ = undurable.remove(change);
    }
  }

  /** A change was refused: it has not had its effect, and never will. */
  public void refuse(Change change) {
    for (int i = change.first; i < change.first + change.cells; i++) {
      boolean _ = cells.get(i).remove(change);
    }
    boolean _ = undurable.remove(change);
  }

  /** A flush that began then is acknowledged. */
  public void flushed(long beginNs) {
    undurable.removeIf(change -> {
      change.durable |= change.effectiveByNs <= beginNs;
      return change.durable;
    });
  }

  /** More power was lost than what is not durable survives: it may be there or not. */
  public void powerLost() {
    undurable.forEach(change -> change.effectiveByNs = UNKNOWN);
    // What was read instead may be lost.
    cells.forEach(all -> all.forEach(change -> Arrays.fill(change.passedNs, UNKNOWN)));
  }

  /**
   * Returns what is wrong with a cell that was read, or null.
   *
   * @param sender who has read it through its newest connection; null for somebody who keeps no
   *     order
   */
  public String read(int cell, long value, long beginNs, long endNs, Sender sender) {
    String wrong = read(cell, value, beginNs, endNs);
    for (Change change : cells.get(cell)) {
      boolean earlier =
          sender != null && change.sender == sender && change.connection < sender.connection;
      if (wrong == null && earlier && change.value != value) {
        int i = cell - change.first;
        change.passedNs[i] = Math.min(change.passedNs[i], endNs);
      }
    }
    return wrong;
  }

  /** Returns what is wrong with a cell that a read has returned, or null. */
  public String read(int cell, long value, long beginNs, long endNs) {
    List<Change> seen = possible(cell, value, beginNs);
    if (seen.isEmpty()) {
      return "cell " + cell + " reads as " + value + ", but has had " + list(cell);
    }
    if (seen.size() == 1) {
      seen.get(0).effectiveByNs = Math.min(seen.get(0).effectiveByNs, endNs);
    }
    return null;
  }

  /** Returns whether a read that begins then may see a value. */
  public boolean mayHold(int cell, long value, long beginNs) {
    return cell < cells.size() && !possible(cell, value, beginNs).isEmpty();
  }

  /** Returns which changes a read that began then may have seen. */
  private List<Change> possible(int cell, long value, long beginNs) {
    long newest = Long.MIN_VALUE;
    for (Change change : cells.get(cell)) {
      if (change.effectiveByNs < beginNs) {
        newest = Math.max(newest, change.beginNs);
      }
    }
    List<Change> seen = new ArrayList<>();
    for (Change change : cells.get(cell)) {
      if (change.value == value
          && change.effectiveByNs >= newest
          && !isPassed(cell, change, beginNs)) {
        seen.add(change);
      }
    }
    return seen;
  }

  /** Returns whether its sender has used the cell through a later connection, before a time. */
  private boolean isPassed(int cell, Change change, long beginNs) {
    if (change.sender == null) {
      return false;
    }
    if (change.passedNs[cell - change.first] < beginNs) {
      return true;
    }
    for (Change later : cells.get(cell)) {
      if (later.sender == change.sender
          && later.connection > change.connection
          && later.effectiveByNs < beginNs) {
        return true;
      }
    }
    return false;
  }

  /**
   * Returns what is wrong with all of the volume as it is now, with nothing on its way: besides
   * what {@link #read} finds, a change of which only a part is there. Null when nothing is.
   */
  public String readAll(long[] values, long nowNs) {
    List<Change> present = new ArrayList<>();
    for (int i = 0; i < cells.size(); i++) {
      String wrong = read(i, values[i], nowNs, nowNs);
      if (wrong != null) {
        return wrong;
      }
      List<Change> seen = possible(i, values[i], nowNs);
      if (seen.size() == 1) {
        present.add(seen.get(0));
      }
    }
    for (Change change : present) {
      for (int i = change.first; i < change.first + change.cells; i++) {
        boolean isOlder = true;
        for (Change seen : possible(i, values[i], nowNs)) {
          isOlder &= seen != change && seen.effectiveByNs < change.beginNs;
        }
        if (isOlder) {
          return change + " is torn: cell " + i + " is older, " + values[i];
        }
      }
    }
    return null;
  }

  private String list(int cell) {
    List<Change> all = cells.get(cell);
    return all.subList(Math.max(0, all.size() - SHOWN), all.size()).toString();
  }
}
