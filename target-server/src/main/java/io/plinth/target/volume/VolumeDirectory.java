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

  /** Told how a change of size went. */
  @FunctionalInterface
  interface Resized {
    /**
     * Called on the volume's core.
     *
     * @param status OK when the new size is durable; EPERM when that can't be now, because data
     *     would be cut off or another change of the volume is under way; EINVAL, ENOSPC, ESHUTDOWN
     *     or EIO
     * @param problem one line for a person, or null
     */
    void resized(int status, String problem);
  }

  /**
   * Changes the size of a volume for one of its clients; on the volume's core. Nothing that is
   * mapped is cut off.
   *
   * @param sizeBytes a multiple of 512, from {@link Volume#MINIMUM_BYTES} to {@link
   *     Volume#MAXIMUM_BYTES}
   * @param done told exactly once, unless the core stops before
   */
  void resize(Volume volume, long sizeBytes, Resized done);
}
