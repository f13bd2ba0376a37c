package io.plinth.target.admin;

import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * What the admin API asks of a node. Called on the thread {@code plinth-admin}; must not block it.
 * A future may be completed on any thread, and fails with a {@link ControlException}; any other
 * failure is answered as an internal error and logged.
 */
public interface NodeControl {
  /**
   * Creates a volume. Completes when it is durable and can be opened by clients.
   *
   * <p>Fails with ALREADY_EXISTS, NO_SPACE or UNAVAILABLE.
   */
  CompletableFuture<VolumeInfo> createVolume(VolumeSpec spec);

  /** Returns all volumes in the order of their names. Fails with UNAVAILABLE. */
  CompletableFuture<List<VolumeInfo>> listVolumes();

  /** Returns one volume. Fails with NOT_FOUND or UNAVAILABLE. */
  CompletableFuture<VolumeInfo> showVolume(String name);

  /**
   * Deletes a volume and its data. Completes when that is durable.
   *
   * <p>Fails with NOT_FOUND, with IN_USE when clients are attached and not {@code force}, or with
   * UNAVAILABLE.
   *
   * @param force disconnects attached clients first
   */
  CompletableFuture<Void> deleteVolume(String name, boolean force);

  /**
   * Returns the statistics of one volume, or of all in the order of their names.
   *
   * <p>Fails with NOT_FOUND or UNAVAILABLE.
   *
   * @param name the volume, or null for all
   */
  CompletableFuture<List<VolumeStats>> stats(String name);

  /** Returns what the node is and how it is. Must work in every state. */
  CompletableFuture<NodeInfo> nodeInfo();
}
