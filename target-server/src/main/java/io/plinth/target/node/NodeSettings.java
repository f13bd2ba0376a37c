package io.plinth.target.node;

import io.plinth.log.journal.PlantedBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.volume.Scrubber;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * What a node is told.
 *
 * @param bootId identity of the running machine's boot; the same one as before means that the page
 *     cache has survived
 * @param residentBytesPerLog how much of each log to keep in memory for reads
 * @param indexBytesPerLog how much memory the pages of each log's indexes may take; zero for all
 *     that they need
 * @param spareSegmentsPerLog how many freed segments keep their files
 * @param retentionMs for how long volumes can be restored as they were, in milliseconds; zero for
 *     as long as it happens to be
 * @param scrubPerLog how each log is scrubbed
 * @param defaultVolume the volume that clients get who name none
 * @param cluster the nodes of its cluster, if it is in one
 * @param plantedBugs empty except in tests
 * @param clusterBugs none except in tests
 * @param keeper when nodes that are not heard are given up
 */
public record NodeSettings(
    UUID bootId,
    long residentBytesPerLog,
    long indexBytesPerLog,
    int spareSegmentsPerLog,
    long retentionMs,
    Scrubber.Settings scrubPerLog,
    Optional<String> defaultVolume,
    ClusterMap cluster,
    Set<PlantedBug> plantedBugs,
    ClusterBugs clusterBugs,
    KeeperSettings keeper) {
  /** Creates those of a node that makes no mistakes of clusters. */
  public NodeSettings(
      UUID bootId,
      long residentBytesPerLog,
      long indexBytesPerLog,
      int spareSegmentsPerLog,
      long retentionMs,
      Scrubber.Settings scrubPerLog,
      Optional<String> defaultVolume,
      ClusterMap cluster,
      Set<PlantedBug> plantedBugs) {
    this(
        bootId,
        residentBytesPerLog,
        indexBytesPerLog,
        spareSegmentsPerLog,
        retentionMs,
        scrubPerLog,
        defaultVolume,
        cluster,
        plantedBugs,
        ClusterBugs.NONE,
        KeeperSettings.DEFAULT);
  }
}
