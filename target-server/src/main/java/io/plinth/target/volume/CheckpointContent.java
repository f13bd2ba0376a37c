package io.plinth.target.volume;

import io.plinth.engine.api.LogStorage;
import io.plinth.log.format.Superblock.CheckpointPlace;
import io.plinth.log.recovery.RecoveryException;
import java.util.List;

/**
 * What a checkpoint says of itself, for tools.
 *
 * @param pageLimit the number above all index pages
 * @param tableBlocks how many blocks the page table has
 * @param volumes at the moment of the checkpoint, in the order of their groups
 */
public record CheckpointContent(int pageLimit, int tableBlocks, List<Content> volumes) {
  /**
   * A volume or snapshot.
   *
   * @param name of a snapshot within its volume
   * @param snapshots of a volume
   */
  public record Content(String name, long sizeBytes, long mappedBytes, List<Content> snapshots) {}

  /**
   * Reads the description of a checkpoint.
   *
   * @param name what to call the log in messages
   * @throws RecoveryException when it can't be used; one line that says why and where
   */
  public static CheckpointContent read(String name, LogStorage storage, CheckpointPlace place)
      throws RecoveryException {
    CheckpointRoot root = new CheckpointLoader(name, null, storage).readRoot(place);
    return new CheckpointContent(
        root.pageLimit(),
        root.tablePlaces().length,
        root.volumes().stream()
            .map(volume ->
                content(
                    volume.name(),
                    volume.sizeBytes(),
                    volume.tree(),
                    volume.snapshots().stream()
                        .map(snapshot ->
                            content(
                                snapshot.name(), snapshot.sizeBytes(), snapshot.tree(), List.of()))
                        .toList()))
            .toList());
  }

  private static Content content(
      String name, long sizeBytes, BlockIndex.State tree, List<Content> snapshots) {
    return new Content(name, sizeBytes, tree.mapped() * Volume.BLOCK_BYTES, snapshots);
  }
}
