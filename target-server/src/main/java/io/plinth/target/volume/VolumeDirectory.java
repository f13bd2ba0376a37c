package io.plinth.target.volume;

import java.util.List;

/** The volumes that clients may open, as a snapshot that any thread may read. */
public interface VolumeDirectory {
  /**
   * Returns the volume of that name, or null; the empty name stands for the default volume, or the
   * only one.
   */
  Volume find(String name);

  /**
   * Returns the names that the snapshots of a volume have within it, the oldest first; {@link
   * #find} knows each as {@code volume@snapshot}.
   */
  List<String> snapshots(String volume);

  /** Returns all volumes in the order of their names. */
  List<Volume> list();
}
