package io.plinth.target.nbd;

import io.plinth.engine.api.Releasable;
import io.plinth.target.volume.StatusContext;
import io.plinth.target.volume.VolumeRequest;

/**
 * One request of a client, from its header until the last byte of its reply has left: a reusable
 * object of its core's context.
 *
 * <p>It lends the data of a READ to the connection in its own name (the token is the number of the
 * range) and passes each release on to the real owner. So it stays in flight while the peer does
 * not read, and a slow reader is bounded by the number and the bytes of requests it may have.
 */
final class NbdRequest extends VolumeRequest implements Releasable {
  final NbdCoreContext context;

  /** Who gets the reply; null while the request is free. */
  Transmission owner;

  /** As the client sent it, echoed unchanged. */
  long cookie;

  int command;
  int flags;

  /** Bytes that follow the header. */
  long payloadBytes;

  /** What this READ counts against the core's bytes in flight. */
  long readBytes;

  /** Errno of the reply on the wire, and a sentence for people or null. */
  int error;

  byte[] message;

  /** The volume has the request and may complete it from within submit. */
  boolean submitting;

  /** Completed from within submit with {@link #status}; handled when submit has returned. */
  boolean completedEarly;

  int status;

  /** How many ranges of {@code data} were passed to the connection, in order. */
  int lentRanges;

  /** How many of those have not been released. */
  int loansOut;

  /** The whole reply was passed to the connection. */
  boolean replied;

  /** Next of the replies that wait for room. */
  NbdRequest nextReply;

  NbdRequest(NbdCoreContext context) {
    this.context = context;
  }

  void fail(Violation violation) {
    error = violation.error;
    message = violation.message;
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
    payload.releaseAll();
    clearExtents();
    contexts = StatusContext.ALLOCATION_ONLY;
    fua = false;
    noHole = false;
    singleExtent = false;
    owner = null;
    readBytes = 0;
    error = NbdProtocol.NO_ERROR;
    message = null;
    submitting = false;
    completedEarly = false;
    lentRanges = 0;
    loansOut = 0;
    replied = false;
    nextReply = null;
  }

  @Override
  public boolean isAbandoned() {
    return owner.isClosed();
  }

  @Override
  protected void onCompleted(int status) {
    this.status = status;
    if (submitting) {
      completedEarly = true;
    } else {
      owner.onCompleted(this);
    }
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
    owner.onLoanReturned(this);
  }
}
