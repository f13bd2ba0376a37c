package io.plinth.target.admin;

import io.plinth.target.volume.SettingsChange;
import java.util.List;
import java.util.OptionalInt;
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
   * <p>Fails with ALREADY_EXISTS, NO_SPACE or UNAVAILABLE, or with INVALID when there are not as
   * many nodes as replicas are wanted. In a cluster this and all other changes may fail with
   * ELSEWHERE.
   *
   * @param replicas on how many nodes; absent for what is usual
   */
  CompletableFuture<VolumeInfo> createVolume(VolumeSpec spec, OptionalInt replicas);

  /**
   * Creates a volume with the content of another one or of a snapshot. Completes when it is durable
   * and can be opened by clients.
   *
   * <p>Fails with NOT_FOUND, ALREADY_EXISTS, NO_SPACE or UNAVAILABLE.
   */
  CompletableFuture<VolumeInfo> cloneVolume(CloneSpec spec);

  /**
   * Creates a volume with the content that another one had at a moment of the past. Completes when
   * it is durable and can be opened by clients.
   *
   * <p>Fails with NOT_FOUND, ALREADY_EXISTS, UNAVAILABLE, or with INVALID when the moment has not
   * come or the log does not go back to it.
   */
  CompletableFuture<VolumeInfo> restoreVolume(RestoreSpec spec);

  /** Returns all volumes in the order of their names. Fails with UNAVAILABLE. */
  CompletableFuture<List<VolumeInfo>> listVolumes();

  /**
   * Returns one volume. Fails with NOT_FOUND or UNAVAILABLE.
   *
   * @param space whether to count what it shares
   */
  CompletableFuture<VolumeInfo> showVolume(String name, boolean space);

  /**
   * Deletes a volume with its data and snapshots. Completes when that is durable.
   *
   * <p>Fails with NOT_FOUND, with IN_USE when clients are attached or there are snapshots and not
   * {@code force}, or with UNAVAILABLE.
   *
   * @param force disconnects attached clients first, and takes the snapshots along
   */
  CompletableFuture<Void> deleteVolume(String name, boolean force);

  /**
   * Returns the snapshots of a volume, the oldest first. Fails with NOT_FOUND or UNAVAILABLE.
   *
   * @param space whether to count what each shares
   */
  CompletableFuture<List<SnapshotInfo>> listSnapshots(String volume, boolean space);

  /**
   * Takes a snapshot. Completes when it is durable.
   *
   * <p>Fails with NOT_FOUND, ALREADY_EXISTS, NO_SPACE, UNAVAILABLE, or with IN_USE while another
   * change of the volume is under way.
   */
  CompletableFuture<SnapshotInfo> createSnapshot(String volume, String snapshot);

  /**
   * Deletes a snapshot. Completes when that is durable.
   *
   * <p>Fails as {@link #createSnapshot} does, and with IN_USE when clients read it and not {@code
   * force}.
   *
   * @param force disconnects its clients first
   */
  CompletableFuture<Void> deleteSnapshot(String volume, String snapshot, boolean force);

  /**
   * Lets a volume be what it was at a snapshot. Completes when that is durable.
   *
   * <p>Fails as {@link #createSnapshot} does, and with IN_USE when clients are attached and not
   * {@code force}.
   *
   * @param force disconnects attached clients first
   */
  CompletableFuture<VolumeInfo> rollback(String volume, String snapshot, boolean force);

  /**
   * Changes the size of a volume. Completes when that is durable.
   *
   * <p>Fails as {@link #createSnapshot} does, and with IN_USE when data would be cut off and not
   * {@code force}.
   *
   * @param sizeBytes a size that {@link VolumeSpec#checkSize} accepts
   * @param force cuts data off
   */
  CompletableFuture<VolumeInfo> resize(String volume, long sizeBytes, boolean force);

  /**
   * Changes settings of a volume; clients that are attached stay. Completes when that is durable.
   *
   * <p>Fails as {@link #createSnapshot} does.
   */
  CompletableFuture<VolumeInfo> changeSettings(String volume, SettingsChange change);

  /**
   * Returns what has changed in a volume since a snapshot.
   *
   * <p>Fails with NOT_FOUND or UNAVAILABLE.
   *
   * @param to a later snapshot, or null for the volume as it is now
   * @param offset where to begin, at a multiple of 4096
   * @param limit how many extents to tell at most
   */
  CompletableFuture<DiffInfo> diff(String volume, String from, String to, long offset, int limit);

  /**
   * Returns the statistics of one volume, or of all in the order of their names.
   *
   * <p>Fails with NOT_FOUND or UNAVAILABLE.
   *
   * @param name the volume, or null for all
   */
  CompletableFuture<List<VolumeStats>> stats(String name);

  /**
   * Begins to look for rotten blocks in every log where that is not at work already; returns how it
   * stands. Fails with UNAVAILABLE.
   */
  CompletableFuture<ScrubInfo> startScrub();

  /** Ends the search before its time; returns how it stands. Fails with UNAVAILABLE. */
  CompletableFuture<ScrubInfo> stopScrub();

  /** Returns how it stands with the search for rotten blocks. Fails with UNAVAILABLE. */
  CompletableFuture<ScrubInfo> scrubInfo();

  /**
   * Hands the lead of a volume to another node. Completes when that one leads.
   *
   * <p>Fails with NOT_FOUND, INVALID when that node has no replica, ELSEWHERE or UNAVAILABLE.
   */
  CompletableFuture<VolumeInfo> moveLead(String volume, int node);

  /**
   * Begins to compare the replicas of a volume, unless that is at work; returns how it stands.
   *
   * <p>Fails with NOT_FOUND, INVALID when it has one replica, ELSEWHERE or UNAVAILABLE.
   */
  CompletableFuture<VerifyInfo> startVerify(String volume);

  /**
   * Returns how the newest comparison of the replicas of a volume stands. Fails with NOT_FOUND,
   * also when there is none, ELSEWHERE or UNAVAILABLE.
   */
  CompletableFuture<VerifyInfo> verifyInfo(String volume);

  /** Returns how the cluster is; fails with NOT_FOUND when the node is in none. */
  CompletableFuture<ClusterInfo> clusterInfo();

  /**
   * Returns how the nodes of the cluster are. This and all about nodes that follows fails with
   * NOT_FOUND when the node is in no cluster, or there is no such node, and with ELSEWHERE.
   */
  CompletableFuture<NodesInfo> nodesInfo();

  /**
   * Lets the replicas of a node go to others.
   *
   * @param replacement the node that should get them; 0 for any
   * @param dryRun only tells what would be done
   */
  CompletableFuture<NodesInfo.Outcome> drainNode(int node, int replacement, boolean dryRun);

  /** Admits a node to the cluster: it may be started then, and is told of everything. */
  CompletableFuture<NodesInfo.Outcome> admitNode(JoinSpec spec);

  /** Takes a node back into service. */
  CompletableFuture<NodesInfo.Outcome> undrainNode(int node);

  /**
   * Does without a node from now on; fails with IN_USE when it has replicas.
   *
   * @param lost although it has
   */
  CompletableFuture<NodesInfo.Outcome> removeNode(int node, boolean lost);

  /** Returns what the node is and how it is. Must work in every state. */
  CompletableFuture<NodeInfo> nodeInfo();
}
