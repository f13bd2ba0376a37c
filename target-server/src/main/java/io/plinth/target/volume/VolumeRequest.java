package io.plinth.target.volume;

import java.util.ArrayList;
import java.util.List;

/**
 * One request to a volume: a reusable object that a front end owns, fills in and submits. Field by
 * field:
 *
 * <ul>
 *   <li>{@link #operation}, {@link #offset} and {@link #length} in bytes, any range inside the
 *       volume (already validated);
 *   <li>{@link #fua}: the completion waits until the effect is durable;
 *   <li>{@link #noHole}: WRITE_ZEROES keeps the range allocated;
 *   <li>{@link #singleExtent}: BLOCK_STATUS reports one extent only;
 *   <li>{@link #payload}: the bytes of a WRITE, read only during {@link Volume#submit};
 *   <li>{@link #data}: the bytes of a successful READ, on loan; whoever handles the completion
 *       passes the loans on or ends them;
 *   <li>{@link #contexts}: what BLOCK_STATUS asks about, and {@link #extents}: the answer to each,
 *       not longer than the request and at most {@link #extentLimit} of them;
 *   <li>{@link #receivedNs}: when the request was received, set by the front end on the scale of
 *       the core's clock.
 * </ul>
 */
public abstract class VolumeRequest {
  public Operation operation = Operation.READ;
  public long offset;
  public long length;
  public boolean fua;
  public boolean noHole;
  public boolean singleExtent;
  public int extentLimit = Integer.MAX_VALUE;
  public long receivedNs;
  public final IoVector payload = new IoVector();
  public final IoVector data = new IoVector();
  public List<StatusContext> contexts = StatusContext.ALLOCATION_ONLY;
  private final List<ExtentList> extents = new ArrayList<>(1);

  /** Told in place of the owner how a request has ended that it has passed on to a volume. */
  public interface Router {
    /** Called as {@link VolumeRequest#onCompleted} is; the request is the router's again. */
    void onRouted(VolumeRequest request, int status);
  }

  /**
   * Who is to be told of the end; null for the owner. Whoever passes a request on sets it, and
   * takes it back when the request is refused; the end clears it.
   */
  public Router router;

  // What follows is the volume's own, valid while the request is with it.

  /** Link of the volume's queues; null while the front end owns the request. */
  VolumeRequest next;

  IndexedVolume volume;

  /** A change other than of blocks; null for what clients ask. */
  VolumeCommand command;

  /** Index of the request's last record in its group's log. */
  long groupIndex;

  /** Index of the entry of the group that has to be durable before the request completes. */
  long awaitedIndex;

  /** Sequence of the batch that has to be durable here before the request completes. */
  long awaitedPosition;

  /** Whether the request is in the index, or never will be. */
  boolean applied;

  /** Blocks that read as zeroes once the request is committed. */
  long unmapFirst;

  long unmapCount;

  /**
   * Runs of blocks that have new places once the request is committed; two at most, the edges of a
   * WRITE_ZEROES.
   */
  int pieceCount;

  final long[] pieceFirst = new long[2];
  final int[] pieceBlocks = new int[2];
  final long[] piecePlace = new long[2];
  final long[] pieceChecksums = new long[2];

  /** Reads still outstanding, and the first failure among them. */
  int pendingReads;

  int failure;

  /**
   * The buffer that blocks read from the disk are put into, how many it has, and which of {@link
   * #data}'s ranges owns it.
   */
  long coldBuffer;

  int coldBlocks;
  int coldOwner;

  /** Returns the answer about context {@code i} of {@link #contexts}. */
  public ExtentList extents(int i) {
    while (extents.size() <= i) {
      extents.add(new ExtentList());
    }
    return extents.get(i);
  }

  /**
   * Ends the request, which is with whoever calls this.
   *
   * @param status {@link io.plinth.engine.api.Status#OK} or a negated errno
   */
  public final void complete(int status) {
    Router told = router;
    if (told == null) {
      onCompleted(status);
    } else {
      router = null;
      told.onRouted(this, status);
    }
  }

  /**
   * Returns whether nobody waits for it any more. Who asked may have asked for something else
   * elsewhere since: as long as it has not begun, it must not begin.
   */
  public boolean isAbandoned() {
    return false;
  }

  /** Forgets all answers. */
  public void clearExtents() {
    for (int i = 0; i < extents.size(); i++) {
      extents.get(i).clear();
    }
  }

  /**
   * Called exactly once for each accepted request, on the volume's core, possibly from within
   * {@link Volume#submit}.
   *
   * @param status {@link io.plinth.engine.api.Status#OK} or a negated errno
   */
  protected abstract void onCompleted(int status);
}
