package io.plinth.target.forward;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Status;
import io.plinth.log.replication.Replica;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A volume as clients of this node see it, whoever leads it: requests go to the replica of this
 * node as long as that leads, and else to the leader's.
 *
 * <p>EREMOTE says that nothing has happened: such a request waits for the next leader. A request
 * that changes something and was begun where the lead, or the way there, was lost ends with ESTALE:
 * it must not be tried again here, because another client could see the first try undo a later
 * write. What changes nothing is asked again; for a FLUSH that is right because what was
 * acknowledged before it is committed, so that the next leader has it too and makes it durable.
 *
 * <pre>
 *              submit
 *                |            EREMOTE, lost unseen
 *   local leads? |     +------------------------------+
 *      +---------+     v                              |
 *      v         +--> waiting --> sent to the leader -+--> ended
 *   local volume ------^   (2 s without a leader: disconnected)
 *            EREMOTE
 * </pre>
 *
 * With requests waiting, or without a leader, new ones are refused: {@link #awaitReady}.
 *
 * <p>A client that attaches waits until what clients that have gone asked for elsewhere is over:
 * {@link ClientFence}. For the same reason this node looks which of its own clients have gone
 * whenever another leader has been found, before anything goes there.
 */
public final class ForwardedVolume implements Volume {
  /** What a volume is, wherever it is led; any thread. */
  public interface Facts {
    /** Returns the name. */
    String name();

    /** Returns the size in bytes. */
    long sizeBytes();

    /** Returns the settings. */
    VolumeSettings settings();
  }

  private static final Logger LOG = LoggerFactory.getLogger(ForwardedVolume.class);

  private final ForwardClient client;
  private final int group;
  private final Facts facts;
  private final LeaderSearch search;
  private final RequestRouter router;
  private final Admission admission;
  private final List<Attachment> attachments = new ArrayList<>();
  private final ArrayDeque<ReadyListener> listeners = new ArrayDeque<>();
  private final Attachment localAttachment = this::onLocalClosed;
  private final ReadyListener localListener = this::onLocalReady;
  private volatile int attachmentCount;
  private volatile LogVolume local;

  /** In which the local replica has led last, with clients that had not gone by then. */
  private long ledTerm = -1;

  private boolean awaitsLocal;
  private boolean awaitsMemory;
  private boolean isActive;
  private boolean closed;

  ForwardedVolume(ForwardClient client, int group, Facts facts, List<Integer> members) {
    this.client = client;
    this.group = group;
    this.facts = facts;
    this.search = new LeaderSearch(client, this);
    this.router = new RequestRouter(client, this, search);
    this.admission = new Admission(client, this);
    search.members(members);
  }

  // What it is.

  @Override
  public String name() {
    return facts.name();
  }

  @Override
  public long sizeBytes() {
    LogVolume replica = local;
    return replica == null ? facts.sizeBytes() : replica.sizeBytes();
  }

  @Override
  public Core core() {
    return client.core();
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public VolumeSettings settings() {
    return facts.settings();
  }

  /** Returns the number of the group. */
  public int group() {
    return group;
  }

  /** Returns the replica of this node, or null; any thread. */
  public LogVolume local() {
    return local;
  }

  /** The volume has a replica on this node from now on, or with null none any more; on the core. */
  public void local(LogVolume replica) {
    LogVolume before = local;
    if (before == replica) {
      return;
    }
    if (before != null) {
      before.cancelReady(localListener);
      awaitsLocal = false;
    }
    boolean used = !attachments.isEmpty();
    if (used && before != null) {
      before.detach(localAttachment);
    }
    local = replica;
    ledTerm = -1;
    if (used && replica != null) {
      boolean _ = replica.attach(localAttachment);
    }
    activate();
  }

  /** Other nodes have its replicas from now on; on the core. */
  public void members(List<Integer> nodes) {
    search.members(nodes);
  }

  /** Returns the other node that was found to lead, or {@link Replica#NO_NODE}; any thread. */
  public int leader() {
    return search.leader();
  }

  RequestRouter router() {
    return router;
  }

  boolean isClosed() {
    return closed;
  }

  // Clients.

  @Override
  public boolean attach(Attachment attachment) {
    LogVolume replica = local;
    boolean first = attachments.isEmpty();
    if (replica != null) {
      search.noteEpoch(replica.group().replica().epoch());
    } else if (first) {
      search.forgetSeen();
    }
    if (first) {
      client.countUsed(1);
      if (replica != null) {
        boolean _ = replica.attach(localAttachment);
      }
    }
    attachments.add(attachment);
    attachmentCount = attachments.size();
    boolean waits = admission.isNeeded();
    if (waits) {
      admission.add(attachment);
    }
    activate();
    return !waits;
  }

  @Override
  public int attachmentCount() {
    return attachmentCount;
  }

  @Override
  public void detach(Attachment attachment) {
    if (attachments.remove(attachment)) {
      attachmentCount = attachments.size();
      admission.remove(attachment);
      if (attachments.isEmpty()) {
        leave();
      }
    }
  }

  /** There are no clients any more: nobody need be told what concerns them. */
  private void leave() {
    client.countUsed(-1);
    LogVolume replica = local;
    if (replica != null) {
      replica.detach(localAttachment);
    }
    search.leave();
  }

  private void closeAll() {
    if (attachments.isEmpty()) {
      return;
    }
    List<Attachment> told = List.copyOf(attachments);
    attachments.clear();
    admission.clear();
    attachmentCount = 0;
    leave();
    told.forEach(Attachment::onVolumeClosed);
  }

  /**
   * This node has not run for a while: clients may have gone to another one, and what they have
   * asked for here before would undo what they ask for there.
   */
  void onStoodStill() {
    disconnect("this node stood still");
  }

  /** What clients have seen does not hold any more: they must attach anew. */
  private void disconnect(String why) {
    if (client.isPlanted(ForwardingBug.KEEP_CLIENTS_OVER_EPOCH)) {
      return;
    }
    if (!attachments.isEmpty()) {
      LOG.warn("volume {} (group {}): its clients are disconnected: {}", name(), group, why);
    }
    router.beginEra();
    closeAll();
    // They ask again what they want to have done to what is there now.
    router.failWaiting(Status.ESTALE);
  }

  private void onLocalClosed() {
    search.noteEpoch(local.group().replica().epoch());
    disconnect("its replica on this node says so");
  }

  /** Lets the leader know that there are clients, also when they ask for nothing. */
  void tick() {
    if (!attachments.isEmpty() && search.bound() == null) {
      activate();
    }
  }

  boolean isBound(ForwardChannel channel) {
    return !attachments.isEmpty() && search.bound() == channel;
  }

  /** The leader has applied so much, and told before what of that concerns clients. */
  void onSeen(ForwardChannel channel, long index) {
    search.onSeen(channel, index);
  }

  void onGone(ForwardChannel channel, ForwardFrame frame) {
    search.onGone(channel, frame);
    disconnect("node " + channel.node() + " says so");
    activate();
  }

  void onBound(ForwardChannel channel, ForwardFrame frame) {
    LogVolume replica = local;
    long applied = replica == null ? -1 : replica.group().appliedIndex();
    ForwardChannel before = search.bound();
    long termBefore = search.term();
    String why = search.onBound(channel, frame, applied);
    if (why != null && !attachments.isEmpty()) {
      disconnect(why);
    }
    if (search.bound() == channel && (before != channel || termBefore != search.term())) {
      lookAtClients();
    }
    activate();
  }

  /** Returns the term of the leader to whom requests go. */
  long term() {
    return search.term();
  }

  /** Those that have gone, also if that was not noticed yet, ask for nothing any more. */
  void lookAtClients() {
    if (!client.isPlanted(ForwardingBug.FENCE_SKIPPED)) {
      List.copyOf(attachments).forEach(Attachment::onFence);
    }
  }

  /** A fence is there, or whoever was asked can't give it; see {@link Admission#onFenced}. */
  void onFenced(ForwardChannel channel, long id, int status) {
    if (!admission.onFenced(channel, id, status) && channel != null) {
      boolean _ = search.unbind(channel);
    }
    if (!admission.isEmpty()) {
      activate();
    }
  }

  /** The volume was deleted, or the node stops. */
  void close() {
    closed = true;
    LogVolume replica = local;
    if (replica != null) {
      replica.cancelReady(localListener);
    }
    closeAll();
    router.failWaiting(Status.ESHUTDOWN);
    notifyReady();
  }

  // Requests.

  @Override
  public boolean submit(VolumeRequest request) {
    LogVolume replica = local;
    long termBefore = ledTerm;
    if (!leadsHere(replica) || closed) {
      return router.forward(request);
    }
    if (ledTerm != termBefore && request.isAbandoned()) {
      // Its client was one of those that have gone.
      request.complete(Status.ESTALE);
      return true;
    }
    return router.submitLocally(replica, request);
  }

  /**
   * Returns whether the replica of this node leads, for clients that had not gone when it began.
   */
  private boolean leadsHere(LogVolume replica) {
    if (replica == null || !replica.group().leads()) {
      return false;
    }
    long term = replica.group().replica().term();
    if (term != ledTerm) {
      ledTerm = term;
      lookAtClients();
    }
    return true;
  }

  @Override
  public void awaitReady(ReadyListener listener) {
    listeners.add(listener);
    switch (router.refusedFor()) {
      case LOCAL -> awaitLocal();
      case MEMORY -> awaitMemory();
      case LEADER -> activate();
    }
  }

  void awaitLocal() {
    LogVolume replica = local;
    if (replica == null) {
      activate();
    } else if (!awaitsLocal) {
      awaitsLocal = true;
      replica.awaitReady(localListener);
    }
  }

  void awaitMemory() {
    if (!awaitsMemory) {
      awaitsMemory = true;
      client.awaitMemory(this);
    }
  }

  @Override
  public void cancelReady(ReadyListener listener) {
    listeners.removeIf(listener::equals);
  }

  private void onLocalReady() {
    awaitsLocal = false;
    goOn();
  }

  /** Requests that were on their way have ended. */
  void onMemory() {
    awaitsMemory = false;
    goOn();
  }

  private void goOn() {
    if (!closed && router.serveWaiting(local, leadsHere(local))) {
      notifyReady();
    }
  }

  /** Who is refused again comes back to the end of the queue. */
  private void notifyReady() {
    for (int i = listeners.size(); i > 0; i--) {
      ReadyListener listener = listeners.poll();
      if (listener != null) {
        listener.onVolumeReady();
      }
    }
  }

  // Waiting for a leader.

  /** Lets this volume have its turn. */
  void activate() {
    if (!isActive) {
      isActive = true;
      client.activate(this);
    }
  }

  /** Looks for a leader as long as somebody waits for one; returns how much was done. */
  int work(long nowNs) {
    isActive = false;
    if (closed) {
      return 0;
    }
    LogVolume replica = local;
    boolean waits = !router.isEmpty() || !listeners.isEmpty() || !admission.isEmpty();
    boolean here = leadsHere(replica);
    if (here) {
      search.onServed();
    }
    if (here || search.bound() != null) {
      goOn();
      admission.work(here ? null : search.bound());
      return waits ? 1 : 0;
    }
    if (!waits && attachments.isEmpty()) {
      search.pause();
      return 0;
    }
    if (search.look(nowNs, waits)) {
      disconnect("no leader was found for " + LeaderSearch.PATIENCE_NS / 1_000_000 + " ms");
      notifyReady();
    }
    activate();
    return 0;
  }

  void onChannelLost(ForwardChannel channel) {
    if (search.unbind(channel)) {
      activate();
    }
  }
}
