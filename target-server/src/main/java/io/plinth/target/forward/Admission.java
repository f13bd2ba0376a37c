package io.plinth.target.forward;

import io.plinth.engine.api.Status;
import io.plinth.target.volume.Volume;
import java.util.ArrayList;
import java.util.List;

/**
 * The clients of a volume that have attached and may not ask for anything yet, because a fence has
 * to be there first: see {@link ClientFence}. One that was asked for before a client attached says
 * nothing about where that client has been: it waits for the next one.
 */
final class Admission {
  private final ForwardClient client;
  private final ForwardedVolume volume;

  /** Who the next fence is for. */
  private ArrayList<Volume.Attachment> arrived = new ArrayList<>();

  /** Who the fence is for that was asked for. */
  private ArrayList<Volume.Attachment> asked = new ArrayList<>();

  private boolean asks;

  /** Whom; null for the leader on this node. */
  private ForwardChannel askedOf;

  private long fenceId;

  Admission(ForwardClient client, ForwardedVolume volume) {
    this.client = client;
    this.volume = volume;
  }

  /** Returns whether a client that has attached now has to wait. */
  boolean isNeeded() {
    return client.hasPeers() && !client.isPlanted(ForwardingBug.FENCE_NOT_AWAITED);
  }

  boolean isEmpty() {
    return arrived.isEmpty() && asked.isEmpty();
  }

  void add(Volume.Attachment attachment) {
    arrived.add(attachment);
  }

  void remove(Volume.Attachment attachment) {
    if (!arrived.remove(attachment)) {
      boolean _ = asked.remove(attachment);
    }
  }

  void clear() {
    arrived.clear();
    asked.clear();
  }

  /**
   * Asks for a fence if somebody needs one and none is on its way there.
   *
   * @param leader whom; null for the leader on this node
   */
  void work(ForwardChannel leader) {
    if (asks && askedOf != leader) {
      // Whoever was asked leads no more, or can't be reached.
      askAgain();
    }
    if (asks || isEmpty()) {
      return;
    }
    ArrayList<Volume.Attachment> next = arrived;
    arrived = asked;
    asked = next;
    asks = true;
    askedOf = leader;
    fenceId = client.nextFence();
    if (leader == null) {
      client.server().fence(volume, fenceId);
    } else {
      volume.lookAtClients();
      leader.askFence(volume.group(), fenceId);
    }
  }

  private void askAgain() {
    asks = false;
    boolean _ = arrived.addAll(0, asked);
    asked.clear();
  }

  /**
   * The answer to a question.
   *
   * @param channel where it came from; null for this node
   * @return whether the leader has given it: if not, another one has to be found
   */
  boolean onFenced(ForwardChannel channel, long id, int status) {
    if (!asks || askedOf != channel || id != fenceId) {
      return true;
    }
    if (status != Status.OK) {
      askAgain();
      return false;
    }
    asks = false;
    List<Volume.Attachment> admitted = List.copyOf(asked);
    asked.clear();
    admitted.forEach(Volume.Attachment::onAdmitted);
    return true;
  }
}
