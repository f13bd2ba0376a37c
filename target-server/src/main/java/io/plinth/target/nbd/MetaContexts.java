package io.plinth.target.nbd;

import io.plinth.target.volume.StatusContext;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeDirectory;
import java.util.ArrayList;
import java.util.List;

/**
 * The metadata contexts of an export: {@code base:allocation}, and for each snapshot of the volume
 * what has changed since, under our own name and under the one by which qemu knows bitmaps of
 * changed blocks. Both have bit 0 set where there is a change.
 */
final class MetaContexts {
  private static final String SNAPSHOT_DIFF = "plinth:snapshot-diff:";
  private static final String DIRTY_BITMAP = "qemu:dirty-bitmap:";
  private static final char SNAPSHOT_SEPARATOR = '@';

  /** Identity 1 is the allocation's. */
  private static final int FIRST_SNAPSHOT_ID = 2;

  private MetaContexts() {}

  /** Returns the names of all contexts that match one of the queries; no query matches all. */
  static List<String> list(VolumeDirectory directory, Volume export, List<String> queries) {
    List<String> names = new ArrayList<>();
    addMatch(names, StatusContext.ALLOCATION.name(), queries);
    for (String snapshot : directory.snapshots(origin(export))) {
      addMatch(names, SNAPSHOT_DIFF + snapshot, queries);
      addMatch(names, DIRTY_BITMAP + snapshot, queries);
    }
    return names;
  }

  /** Returns the contexts that are named, each once; what does not exist is left out. */
  static List<StatusContext> select(
      VolumeDirectory directory, Volume export, List<String> queries) {
    List<StatusContext> selected = new ArrayList<>();
    int id = FIRST_SNAPSHOT_ID;
    for (String query : queries.stream().distinct().toList()) {
      if (query.equals(StatusContext.ALLOCATION.name())) {
        selected.add(StatusContext.ALLOCATION);
        continue;
      }
      Volume since = snapshot(directory, export, query);
      if (since != null) {
        selected.add(new StatusContext(id++, query, since));
      }
    }
    return selected;
  }

  private static Volume snapshot(VolumeDirectory directory, Volume export, String query) {
    for (String prefix : List.of(SNAPSHOT_DIFF, DIRTY_BITMAP)) {
      if (query.length() > prefix.length() && query.startsWith(prefix)) {
        return directory.find(
            origin(export) + SNAPSHOT_SEPARATOR + query.substring(prefix.length()));
      }
    }
    return null;
  }

  /** A query that ends with a colon stands for all that begin with it. */
  private static void addMatch(List<String> names, String name, List<String> queries) {
    boolean matches = queries.isEmpty();
    for (String query : queries) {
      matches |= query.equals(name) || (query.endsWith(":") && name.startsWith(query));
    }
    if (matches) {
      names.add(name);
    }
  }

  private static String origin(Volume export) {
    int at = export.name().indexOf(SNAPSHOT_SEPARATOR);
    return at < 0 ? export.name() : export.name().substring(0, at);
  }
}
