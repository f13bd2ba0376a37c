package io.plinth.target.forward;

import io.plinth.engine.api.Status;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.StatusContext;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import java.util.ArrayDeque;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The ways of one volume's requests, and those that wait for a leader: see {@link ForwardedVolume}.
 */
final class RequestRouter implements VolumeRequest.Router {
  /** What a request that was refused has to wait for. */
  enum Lack {
    LEADER,
    LOCAL,
    MEMORY
  }

  private static final Logger LOG = LoggerFactory.getLogger(RequestRouter.class);

  private final ForwardClient client;
  private final ForwardedVolume volume;
  private final LeaderSearch search;

  /** Taken over, and to be sent to whoever leads next. */
  private final ArrayDeque<ForwardSlot> waiting = new ArrayDeque<>();

  /** Taken by the local volume, which has given them back; they have no slot yet. */
  private final ArrayDeque<VolumeRequest> returned = new ArrayDeque<>();

  /** The request that the local volume is being given; null once it has come back within that. */
  private VolumeRequest submitting;

  private Lack refusedFor = Lack.LEADER;

  /** Grows when all clients are disconnected: what they have asked for is not asked anew. */
  private int era;

  private int unknown;

  RequestRouter(ForwardClient client, ForwardedVolume volume, LeaderSearch search) {
    this.client = client;
    this.volume = volume;
    this.search = search;
  }

  /** Returns what the newest request that was refused lacks. */
  Lack refusedFor() {
    return refusedFor;
  }

  /** Returns whether nothing waits. */
  boolean isEmpty() {
    return waiting.isEmpty() && returned.isEmpty();
  }

  /** The clients of before are disconnected. */
  void beginEra() {
    era++;
  }

  /** Gives a request to the replica of this node; see {@link Volume#submit}. */
  boolean submitLocally(LogVolume replica, VolumeRequest request) {
    VolumeRequest outer = submitting;
    submitting = request;
    request.router = this;
    boolean accepted = replica.submit(request);
    // What it has completed in between may have been followed by others.
    boolean elsewhere = accepted && submitting == null;
    submitting = outer;
    if (elsewhere) {
      return forward(request);
    }
    if (!accepted) {
      request.router = null;
      refusedFor = Lack.LOCAL;
    }
    return accepted;
  }

  @Override
  public void onRouted(VolumeRequest request, int status) {
    if (status == Status.EREMOTE) {
      if (request.equals(submitting)) {
        // Told by submit, which still has the payload.
        submitting = null;
      } else if (request.operation == Operation.WRITE) {
        // Nothing has happened, but its payload is gone: only its client can ask again.
        request.complete(Status.ESTALE);
      } else {
        giveBack(request);
      }
    } else if (status == Status.ESTALE && !changes(request.operation)) {
      giveBack(request);
    } else {
      request.complete(status);
    }
  }

  private void giveBack(VolumeRequest request) {
    if (volume.isClosed()) {
      request.complete(Status.ESHUTDOWN);
    } else {
      returned.add(request);
      volume.activate();
    }
  }

  private static boolean changes(Operation operation) {
    return operation == Operation.WRITE
        || operation == Operation.WRITE_ZEROES
        || operation == Operation.TRIM;
  }

  /** Sends a request to the leader; see {@link Volume#submit}. */
  boolean forward(VolumeRequest request) {
    if (volume.isClosed()) {
      request.complete(Status.ESHUTDOWN);
      return true;
    }
    if (request.length == 0 && request.operation != Operation.FLUSH) {
      request.complete(Status.OK);
      return true;
    }
    if (request.operation == Operation.BLOCK_STATUS
        && !request.contexts.equals(StatusContext.ALLOCATION_ONLY)) {
      // What is compared with is the leader's.
      request.complete(Status.EINVAL);
      return true;
    }
    if (request.operation == Operation.READ || request.operation == Operation.WRITE) {
      if (request.length > ForwardFrame.MAX_PAYLOAD_BYTES) {
        request.complete(Status.EINVAL);
        return true;
      }
    }
    ForwardChannel channel = search.bound();
    boolean isLate = client.stoodStill(client.core().clock().nowNs());
    if (channel == null || isLate || !waiting.isEmpty() || !returned.isEmpty()) {
      refusedFor = Lack.LEADER;
      return false;
    }
    ForwardSlot slot = channel.hasRoom() ? take(request) : null;
    if (slot == null) {
      refusedFor = Lack.MEMORY;
      return false;
    }
    channel.add(slot, client.core().clock().nowNs());
    return true;
  }

  private ForwardSlot take(VolumeRequest request) {
    ForwardSlot slot = client.acquireSlot();
    if (slot != null && !slot.take(volume, request)) {
      slot.end();
      return null;
    }
    if (slot != null) {
      slot.era = era;
    }
    return slot;
  }

  /**
   * Gives what waits to whoever leads; returns whether nothing is left.
   *
   * @param here whether that is the replica of this node
   */
  boolean serveWaiting(LogVolume replica, boolean here) {
    while (!waiting.isEmpty()) {
      ForwardSlot slot = waiting.poll();
      if (slot.request.isAbandoned()) {
        end(slot, Status.ESTALE);
      } else if (here ? !giveToLocal(replica, slot) : !send(slot)) {
        waiting.addFirst(slot);
        return false;
      }
    }
    while (!returned.isEmpty()) {
      VolumeRequest request = returned.poll();
      if (request.isAbandoned()) {
        request.complete(Status.ESTALE);
      } else if (!(here ? submitLocally(replica, request) : sendReturned(request))) {
        returned.addFirst(request);
        if (here) {
          volume.awaitLocal();
        }
        return false;
      }
    }
    return true;
  }

  private boolean giveToLocal(LogVolume replica, ForwardSlot slot) {
    VolumeRequest request = slot.request;
    VolumeRequest outer = submitting;
    submitting = request;
    request.router = this;
    slot.lendPayload();
    boolean accepted = replica.submit(request);
    boolean elsewhere = accepted && submitting == null;
    submitting = outer;
    if (!elsewhere && accepted) {
      slot.end();
      return true;
    }
    request.router = null;
    if (elsewhere) {
      volume.activate();
    } else {
      volume.awaitLocal();
    }
    return false;
  }

  private boolean send(ForwardSlot slot) {
    ForwardChannel channel = search.bound();
    if (channel == null) {
      volume.activate();
      return false;
    }
    if (!channel.hasRoom()) {
      volume.awaitMemory();
      return false;
    }
    channel.add(slot, client.core().clock().nowNs());
    return true;
  }

  private boolean sendReturned(VolumeRequest request) {
    ForwardSlot slot = take(request);
    if (slot == null) {
      volume.awaitMemory();
      return false;
    }
    if (!send(slot)) {
      waiting.add(slot);
    }
    return true;
  }

  /** Ends what waits. */
  void failWaiting(int status) {
    while (!waiting.isEmpty()) {
      end(waiting.poll(), status);
    }
    while (!returned.isEmpty()) {
      returned.poll().complete(status);
    }
  }

  private static void end(ForwardSlot slot, int status) {
    VolumeRequest request = slot.request;
    slot.end();
    request.complete(status);
  }

  // From the links.

  void onAnswer(ForwardSlot slot, ForwardChannel channel, int status) {
    if (status == Status.EREMOTE) {
      boolean _ = search.unbind(channel);
      await(slot);
      return;
    }
    search.onServed();
    if (status == Status.ESTALE && !changes(slot.request.operation)) {
      await(slot);
    } else {
      end(slot, status);
    }
  }

  /** The way to where a request was sent is lost. */
  void onLost(ForwardSlot slot) {
    boolean begun = slot.begun;
    Operation operation = slot.request.operation;
    slot.channel = null;
    slot.next = null;
    if (operation == Operation.FLUSH && client.isPlanted(ForwardingBug.FLUSH_LOST_IS_DONE)) {
      end(slot, Status.OK);
    } else if (begun
        && changes(operation)
        && !client.isPlanted(ForwardingBug.RESEND_UNKNOWN_WRITE)) {
      unknown++;
      end(slot, Status.ESTALE);
    } else {
      await(slot);
    }
  }

  /** Says once what the loss of a connection means for this volume. */
  void tellOfUnknown(ForwardChannel channel) {
    if (unknown > 0) {
      LOG.warn(
          "volume {} (group {}): {} requests were on their way to node {}: their clients are"
              + " disconnected",
          volume.name(),
          volume.group(),
          unknown,
          channel.node());
      unknown = 0;
    }
  }

  private void await(ForwardSlot slot) {
    if (volume.isClosed()) {
      end(slot, Status.ESHUTDOWN);
    } else if (slot.era != era) {
      // Its client was disconnected, and may have asked again and for more meanwhile.
      end(slot, Status.ESTALE);
    } else {
      waiting.add(slot);
      volume.activate();
    }
  }
}
