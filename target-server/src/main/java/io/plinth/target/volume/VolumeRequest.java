package io.plinth.target.volume;

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
 *   <li>{@link #extents}: the answer to BLOCK_STATUS, not longer than the request and at most
 *       {@link #extentLimit} of them;
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
  public final ExtentList extents = new ExtentList();

  /** Link of the volume's queues; null while the front end owns the request. */
  VolumeRequest next;

  /** Durable log position that this request waits for; the volume's own. */
  long awaitedPosition;

  /** Reads still outstanding, and the first failure among them; the volume's own. */
  int pendingReads;

  int failure;

  /**
   * Called exactly once for each accepted request, on the volume's core, possibly from within
   * {@link Volume#submit}.
   *
   * @param status {@link io.plinth.engine.api.Status#OK} or a negated errno
   */
  protected abstract void onCompleted(int status);
}
