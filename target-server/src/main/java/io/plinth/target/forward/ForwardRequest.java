package io.plinth.target.forward;

import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.target.volume.VolumeRequest;

/**
 * A request that another node has forwarded, from its frame until the last byte of its reply has
 * left: a reusable object of its session. It lends the data of a READ to the connection in its own
 * name and passes each release on.
 */
final class ForwardRequest extends VolumeRequest implements Releasable {
  final ForwardSession session;
  long id;
  int group;

  /** How it has ended, and who leads the group then, as far as is known. */
  int status;

  int leader;

  /** Up to which entry the volume is applied then. */
  long appliedIndex;

  int payloadBytes;
  int payloadCrc;

  /** The low bits of the term in which the leader was found that is to begin it. */
  int term;

  /** How many ranges of {@code data} were passed to the connection, in order. */
  int lentRanges;

  /** How many of those have not been released. */
  int loansOut;

  /** All of the reply was passed to the connection. */
  boolean replied;

  /** Next of the replies that wait for room, or of the free requests. */
  ForwardRequest nextRequest;

  ForwardRequest(ForwardSession session) {
    this.session = session;
  }

  /** Ends the loans that were not passed to the connection and forgets everything else. */
  void reset() {
    for (int i = lentRanges; i < data.count(); i++) {
      Releasable lender = data.owner(i);
      if (lender != null) {
        lender.release(data.token(i));
      }
    }
    data.clear();
    payload.clear();
    clearExtents();
    status = Status.OK;
    lentRanges = 0;
    loansOut = 0;
    replied = false;
    nextRequest = null;
  }

  @Override
  protected void onCompleted(int completedWith) {
    session.onCompleted(this, completedWith);
  }

  /** The connection no longer needs range {@code token}. */
  @Override
  public void release(long token) {
    int range = (int) token;
    Releasable lender = data.owner(range);
    if (lender != null) {
      lender.release(data.token(range));
    }
    loansOut--;
    session.onLoanReturned(this);
  }
}
