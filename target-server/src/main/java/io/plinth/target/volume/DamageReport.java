package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Tells whose the blocks are that a scrub has found damaged. What nobody has any more, because it
 * was overwritten, deleted or mended since, is left out.
 */
public final class DamageReport implements BackgroundJob {
  /** Look-ups in one duty cycle: some tens of microseconds. */
  private static final int LOOKUPS_PER_CYCLE = 256;

  /**
   * Something that is damaged.
   *
   * @param segment of the log, where it is
   * @param offset in the segment, in bytes
   * @param blocks how many
   * @param what is wrong with it
   * @param owners the volumes and snapshots that it is lost for
   * @param role what else it is: a part of the checkpoint; empty when it belongs to volumes
   */
  public record Damage(
      int segment, long offset, long blocks, String what, List<Owner> owners, String role) {}

  /**
   * A volume or snapshot.
   *
   * @param snapshot null for the volume itself
   */
  public record Owner(String volume, String snapshot, long block) {}

  private final VolumeStore store;
  private final Consumer<List<Damage>> done;
  private final List<DamageList.Entry> entries;
  private final List<IndexedVolume> trees = new ArrayList<>();
  private final List<Damage> result = new ArrayList<>();
  private List<Owner> owners = new ArrayList<>();
  private int entry;
  private int tree;

  /**
   * Begins a report of what is known now.
   *
   * @param done told it on the core
   */
  public DamageReport(VolumeStore store, Consumer<List<Damage>> done) {
    this.store = store;
    this.done = done;
    this.entries = List.copyOf(store.scrubber().damage().entries());
    for (LogVolume volume : store.volumes()) {
      trees.add(volume);
      trees.addAll(volume.snapshots());
    }
  }

  @Override
  public boolean step() {
    for (int i = 0; i < LOOKUPS_PER_CYCLE; i++) {
      if (entry == entries.size()) {
        done.accept(result);
        return true;
      }
      DamageList.Entry current = entries.get(entry);
      if (current.kind == DamageList.Kind.DATA && tree < trees.size()) {
        if (!look(current, trees.get(tree))) {
          return false;
        }
        tree++;
      } else {
        add(current);
        entry++;
        tree = 0;
        owners = new ArrayList<>();
      }
    }
    return false;
  }

  /** Looks for a block in a tree; false while a page of it has to be read first. */
  private boolean look(DamageList.Entry current, IndexedVolume volume) {
    BlockIndex index = volume.index();
    boolean possible =
        !volume.isClosed() && index.family() == current.family && current.number < index.blocks();
    int found = possible ? index.bring(current.number, current.number) : Status.EIO;
    if (found == Status.EAGAIN) {
      return false;
    }
    // Of what is below a page that can't be read nobody knows; the page is reported itself.
    if (found != Status.OK || index.place(current.number) != current.place()) {
      return true;
    }
    if (volume instanceof SnapshotVolume snapshot) {
      owners.add(new Owner(snapshot.origin().name(), snapshot.snapshotName(), current.number));
    } else {
      owners.add(new Owner(volume.name(), null, current.number));
    }
    return true;
  }

  private void add(DamageList.Entry current) {
    if (current.life() != store.scrubber().life(current.place())) {
      return;
    }
    IndexPages pages = store.space().pages();
    int number = (int) current.number;
    long place = current.place();
    String role =
        switch (current.kind) {
          case DATA -> owners.isEmpty() ? null : "";
          case UNCHECKED -> "";
          case PAGE -> pages.place(number) == place ? "index page " + number : null;
          case TABLE ->
              store.checkpointer().isTable(number, place)
                  ? "block " + number + " of the page table"
                  : null;
          case DESCRIPTION ->
              store.checkpointer().isRoot(place) ? "description of the checkpoint" : null;
        };
    if (role != null) {
      long perSegment = store.blocksPerSegment();
      result.add(
          new Damage(
              (int) (place / perSegment),
              place % perSegment * Volume.BLOCK_BYTES,
              current.kind == DamageList.Kind.UNCHECKED ? current.number : 1,
              current.what,
              List.copyOf(owners),
              role));
    }
  }
}
