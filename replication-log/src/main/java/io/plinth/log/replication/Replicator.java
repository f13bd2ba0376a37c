package io.plinth.log.replication;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Timers;
import io.plinth.log.journal.Journal;
import io.plinth.log.wire.AppendFrame;
import io.plinth.log.wire.PeerChannel;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.log.wire.PeerListener;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.raft.core.Flaw;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.RaftCore;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.function.LongSupplier;
import org.agrona.collections.Int2ObjectHashMap;

/**
 * All replicas whose entries are in one log, and the ways to the logs that have the others.
 *
 * <pre>
 *   receive --> step the rules, write entries       (onMessage, onAppend)
 *   propose --> write the entry                     (Replica.propose)
 *   {@link #beforeSeal}: what was proposed goes to peers; marks and promises are written
 *   the journal seals its batch and moves syncs on  --> {@link #onAppended}, {@link #onDurable}
 *   {@link #afterSeal}: the rules hear of it, commits are told, answers go to peers
 *   the network sends
 * </pre>
 *
 * The owner adds {@link #beforeSeal}, the journal and {@link #afterSeal} to the core in this order,
 * and passes on what the journal's listener is told.
 */
public final class Replicator implements PeerListener {
  private final Core core;
  private final Journal journal;
  private final Dialler dialler;
  private final PeerIdentity self;
  private final LongSupplier chance;
  private final long tickNs;
  private final long bootId;
  private final Set<ReplicationBug> bugs;
  private final Timers.Task timer = now -> onTimer();
  private final Int2ObjectHashMap<Replica> replicas = new Int2ObjectHashMap<>();
  // The same, in the order in which they were added.
  private final ArrayList<Replica> all = new ArrayList<>();
  private final ArrayList<PeerLink> peers = new ArrayList<>();
  private final EntryReader reader;
  // Connections whose other side has not said who it is.
  private final ArrayList<PeerChannel> strangers = new ArrayList<>();
  // Replicas that have something to do before the next seal.
  private ArrayList<Replica> busy = new ArrayList<>();
  private ArrayList<Replica> atWork = new ArrayList<>();
  // Replicas that wait for the end of a batch, and for its way to the device.
  private final ArrayList<Replica> unappended = new ArrayList<>();
  private final ArrayList<Replica> unsynced = new ArrayList<>();
  // Replicas whose other voters are to be asked for a sync, behind what they are sent.
  private final ArrayList<Replica> asking = new ArrayList<>();
  // Replicas that time has to pass for.
  private final AwakeReplicas awake;
  private int mostKept;
  private long ticks;
  private long lastTickNs;
  private long appendedSequence;
  private long durableSequence;
  private boolean appendedNews;
  private boolean durableNews;
  private boolean telling;
  private boolean failed;
  private boolean stopped;

  /**
   * Creates the replicator of a log.
   *
   * @param core that owns the log
   * @param self who speaks for this log; its incarnation grows with each start and is durable
   * @param chance any 64 bits, the same in each run of a simulation
   * @param tickNs the unit of time of the rules
   * @param bugs empty except in tests
   */
  public Replicator(
      Core core,
      Journal journal,
      Dialler dialler,
      PeerIdentity self,
      LongSupplier chance,
      long tickNs,
      Set<ReplicationBug> bugs) {
    this.bugs = bugs;
    this.awake = new AwakeReplicas(bugs.contains(ReplicationBug.WOKEN_NOT_LISTED));
    this.core = core;
    this.journal = journal;
    this.dialler = dialler;
    this.self = self;
    this.chance = chance;
    this.tickNs = tickNs;
    this.bootId = self.bootId().getMostSignificantBits() ^ self.bootId().getLeastSignificantBits();
    this.lastTickNs = core.clock().nowNs();
    this.reader = new EntryReader(this);
  }

  /**
   * Lets each group keep so many entries at most for members that lack them, instead of what a log
   * holds. Before the first replica.
   */
  public void keepAtMost(int entries) {
    mostKept = entries;
  }

  /** Returns how many entries a group may keep, or 0 for what a log holds. */
  int mostKept() {
    return mostKept;
  }

  /** Returns what finds entries for whoever applies them. */
  public EntryReader reader() {
    return reader;
  }

  /**
   * Makes a peer's log known, or that it is elsewhere; its node is dialled if its number is higher
   * than ours.
   */
  public void addPeer(int node, int peerCore, String address) {
    PeerLink known = link(node);
    if (known != null) {
      known.moved(address);
      return;
    }
    peers.add(new PeerLink(this, node, peerCore, address));
  }

  /** Returns the handler for a connection that a peer has made. */
  public ConnectionHandler accept(Connection connection) {
    if (stopped) {
      return null;
    }
    PeerChannel channel = PeerChannel.accepted(connection, self, this);
    strangers.add(channel);
    return channel;
  }

  /**
   * Adds a replica. It takes part once what it starts from is durable; the only member of a group
   * does so, and leads, when this returns.
   */
  public Replica add(int group, ReplicaStart start, ReplicaListener listener) {
    if (replicas.containsKey(group)) {
      throw new IllegalArgumentException("group " + group + " is here already");
    }
    Replica replica = new Replica(group, this, start, listener);
    replicas.put(group, replica);
    all.add(replica);
    if (!replica.beginAlone()) {
      schedule(replica);
      awaitSync(replica);
      journal.requestSync();
    }
    return replica;
  }

  /** Lets a replica go; its listener hears nothing more. */
  public void remove(Replica replica) {
    replica.leave();
    Replica _ = replicas.remove(replica.group());
    int index = all.indexOf(replica);
    if (index >= 0) {
      Replica _ = all.remove(index);
      for (int i = 0; i < peers.size(); i++) {
        peers.get(i).pulse().onRemoved(index);
      }
    }
  }

  /** Returns all replicas in the order in which they were added. */
  public List<Replica> replicas() {
    return Collections.unmodifiableList(all);
  }

  /** Begins to let time pass, if there is anybody to wait for. Peers are known before. */
  public void start() {
    if (!peers.isEmpty()) {
      lastTickNs = core.clock().nowNs();
      scheduleTick();
    }
  }

  /** Ends all connections; nothing is sent or taken any more. */
  public void stop() {
    stopped = true;
    for (int i = 0; i < peers.size(); i++) {
      peers.get(i).close();
    }
    for (int i = 0; i < strangers.size(); i++) {
      strangers.get(i).close("this node stops");
    }
  }

  /** Returns whether the way to a node's log is open. */
  public boolean isConnected(int node) {
    for (int i = 0; i < peers.size(); i++) {
      if (peers.get(i).node() == node && peers.get(i).isOpen()) {
        return true;
      }
    }
    return false;
  }

  /** Returns how many connections with a node's log there were since the start of this one. */
  public long openings(int node) {
    PeerLink link = link(node);
    return link == null ? 0 : link.openings();
  }

  int[] peerNodes() {
    return peers.stream().mapToInt(PeerLink::node).toArray();
  }

  /**
   * Returns for how long a node's log has not been heard, in nanoseconds; since the start of this
   * one if never.
   */
  public long silentNs(int node) {
    for (int i = 0; i < peers.size(); i++) {
      if (peers.get(i).node() == node) {
        return peers.get(i).pulse().silentNs();
      }
    }
    return 0;
  }

  /** Returns whether a node's log is heard. */
  public boolean isReachable(int node) {
    for (int i = 0; i < peers.size(); i++) {
      if (peers.get(i).node() == node) {
        return peers.get(i).pulse().isReachable() && peers.get(i).isOpen();
      }
    }
    return false;
  }

  /** Returns for how many replicas time has to pass: the others are quiet, and cost nothing. */
  public int awakeCount() {
    return awake.size();
  }

  /** Returns how many messages to peers found no room. */
  public long droppedMessages() {
    long dropped = 0;
    for (int i = 0; i < peers.size(); i++) {
      dropped += peers.get(i).dropped();
    }
    return dropped;
  }

  /** Returns how many entries were read from the disk for peers that were far behind. */
  public long entriesFromDisk() {
    long entries = 0;
    for (int i = 0; i < peers.size(); i++) {
      entries += peers.get(i).catchUp().sentEntries();
    }
    return entries;
  }

  /** Returns how often an entry was not sent because the disk holds something else. */
  public long damagedEntries() {
    long entries = 0;
    for (int i = 0; i < peers.size(); i++) {
      entries += peers.get(i).catchUp().damagedEntries();
    }
    return entries;
  }

  /**
   * Returns how much memory holds what is read for peers that are far behind: for each at most
   * {@link ReadWindow#WINDOW_BYTES}, or one entry if that is larger.
   */
  public long readAheadBytes() {
    long bytes = 0;
    for (int i = 0; i < peers.size(); i++) {
      bytes += peers.get(i).catchUp().heldBytes();
    }
    return bytes;
  }

  /** Frees what is left, once the core does nothing any more. */
  public void free() {
    reader.free();
    for (int i = 0; i < peers.size(); i++) {
      peers.get(i).catchUp().free();
    }
  }

  // Told by the owner, from the journal's listener.

  /** See {@link io.plinth.log.journal.JournalListener#onAppended}. */
  public void onAppended(long sequence) {
    appendedSequence = Math.max(appendedSequence, sequence);
    appendedNews = true;
  }

  /** See {@link io.plinth.log.journal.JournalListener#onDurable}. */
  public void onDurable(long sequence) {
    durableSequence = Math.max(durableSequence, sequence);
    durableNews = true;
  }

  /** See {@link io.plinth.log.journal.JournalListener#onFailed}: all replicas stop. */
  public void onFailed(String why) {
    failed = true;
    for (int i = 0; i < all.size(); i++) {
      all.get(i).stop(why);
    }
    stop();
  }

  // Once per duty cycle.

  /** Writes what is to be in the batch that is sealed next, and sends entries to peers. */
  public int beforeSeal(long nowNs) {
    if (failed || stopped) {
      return 0;
    }
    int work = awake.work(passTime());
    for (int i = 0; i < strangers.size(); i++) {
      boolean _ = strangers.get(i).closeIfSilent(nowNs, PeerLink.SILENCE_NS);
    }
    for (int i = 0; i < peers.size(); i++) {
      work += peers.get(i).work(nowNs);
    }
    work += busy.size();
    ArrayList<Replica> list = busy;
    busy = atWork;
    atWork = list;
    for (int i = 0; i < list.size(); i++) {
      Replica replica = list.get(i);
      replica.isScheduled = false;
      replica.work();
      if (replica.isWaiting()) {
        schedule(replica);
      }
    }
    list.clear();
    flushPeers();
    // What waits for room needs no cycle of its own.
    return work - busy.size() > 0 ? work : 0;
  }

  /** Tells the rules what the journal has done. */
  public int afterSeal(long nowNs) {
    int work = tell();
    flushPeers();
    return work;
  }

  /**
   * Seals what is open and tells the rules at once, so that what was proposed in groups without
   * other members is committed when this returns; not if it is called while something is being
   * told.
   */
  public void settle() {
    if (failed || stopped || telling) {
      return;
    }
    for (int i = 0; i < busy.size(); i++) {
      busy.get(i).work();
    }
    journal.seal();
    int _ = tell();
  }

  private int tell() {
    if (failed || stopped || telling || !(appendedNews || durableNews)) {
      return 0;
    }
    telling = true;
    if (appendedNews) {
      appendedNews = false;
      tellAppended();
    }
    if (durableNews) {
      durableNews = false;
      tellDurable();
    }
    telling = false;
    return 1;
  }

  // Both lists may grow at their ends meanwhile.

  private void tellAppended() {
    int kept = 0;
    for (int i = 0; i < unappended.size(); i++) {
      Replica replica = unappended.get(i);
      replica.onAppended(appendedSequence);
      if (replica.isUnappended()) {
        Replica _ = unappended.set(kept++, replica);
      } else {
        replica.awaitsAppend = false;
        if (replica.isUnsettled()) {
          awaitSync(replica);
        }
      }
    }
    cut(unappended, kept);
  }

  private void tellDurable() {
    int kept = 0;
    for (int i = 0; i < unsynced.size(); i++) {
      Replica replica = unsynced.get(i);
      replica.onDurable(durableSequence);
      if (replica.isUnsettled()) {
        Replica _ = unsynced.set(kept++, replica);
      } else {
        replica.awaitsSync = false;
      }
    }
    cut(unsynced, kept);
  }

  private static void cut(List<Replica> list, int size) {
    for (int i = list.size() - 1; i >= size; i--) {
      Replica _ = list.remove(i);
    }
  }

  private void flushPeers() {
    for (int i = 0; i < peers.size(); i++) {
      peers.get(i).sendWaiting();
    }
    for (int i = 0; i < asking.size(); i++) {
      asking.get(i).sendSync();
    }
    asking.clear();
    for (int i = 0; i < peers.size(); i++) {
      peers.get(i).flush();
    }
  }

  /** Lets the core run when there is time to pass, or a beat to be sent. */
  private void scheduleTick() {
    int wait = awake.size() > 0 ? 1 : PeerPulse.BEAT_TICKS;
    long _ = core.timers().schedule(lastTickNs + wait * tickNs, timer);
  }

  private void onTimer() {
    if (!failed && !stopped) {
      long _ = passTime();
      scheduleTick();
    }
  }

  /** Counts the ticks that have passed, also those that this core slept through. */
  long passTime() {
    if (peers.isEmpty()) {
      return ticks;
    }
    long nowNs = core.clock().nowNs();
    if (nowNs - lastTickNs >= tickNs) {
      long passed = has(ReplicationBug.SLEEP_NOT_COUNTED) ? 1 : (nowNs - lastTickNs) / tickNs;
      ticks += passed;
      lastTickNs = has(ReplicationBug.SLEEP_NOT_COUNTED) ? nowNs : lastTickNs + passed * tickNs;
    }
    return ticks;
  }

  // For replicas and links.

  long ticks() {
    return ticks;
  }

  List<Replica> all() {
    return all;
  }

  /** A replica has something to wait for. */
  void onAwake(Replica replica) {
    if (!peers.isEmpty()) {
      awake.add(replica);
    }
  }

  /** Tells the rules of a replica that begins which nodes can't be reached. */
  void tellAway(RaftCore rules) {
    for (int i = 0; i < peers.size(); i++) {
      if (!peers.get(i).pulse().isReachable()) {
        rules.onNode(peers.get(i).node(), false);
      }
    }
  }

  void schedule(Replica replica) {
    if (!replica.isScheduled) {
      replica.isScheduled = true;
      busy.add(replica);
    }
  }

  /**
   * A replica has written something that is in a batch, which may have been sealed meanwhile, and
   * even be durable.
   */
  void written(Replica replica, long sequence) {
    appendedNews |= sequence <= appendedSequence;
    durableNews |= sequence <= durableSequence;
    if (!replica.awaitsAppend) {
      replica.awaitsAppend = true;
      unappended.add(replica);
    }
  }

  /** A replica wants to hear of syncs. */
  void awaitSync(Replica replica) {
    if (!replica.awaitsSync) {
      replica.awaitsSync = true;
      unsynced.add(replica);
    }
  }

  void send(Replica replica, Message message) {
    PeerLink link = link(message.to);
    if (has(ReplicationBug.TRANSFER_NOT_TOLD)) {
      message.transfer = false;
    }
    if (link != null) {
      link.send(replica, message);
    }
  }

  /** At the end of the cycle the other members are asked to make durable what they were sent. */
  void askSync(Replica replica) {
    if (!replica.asksSync) {
      replica.asksSync = true;
      asking.add(replica);
    }
  }

  /** Returns whether all voters were asked, behind what was to be sent to them before. */
  boolean sendSync(Replica replica, long index) {
    boolean all = true;
    Membership members = replica.membership();
    for (int i = 0; i < members.voterCount(); i++) {
      all &= sendSync(replica, members.voter(i), index);
    }
    for (int i = 0; i < members.learnerCount(); i++) {
      boolean _ = sendSync(replica, members.learner(i), index);
    }
    return all;
  }

  private boolean sendSync(Replica replica, int node, long index) {
    PeerLink link = link(node);
    return link == null || link.sendSync(replica, index);
  }

  boolean sendResync(Replica replica, int node, ResyncFrame frame) {
    PeerLink link = link(node);
    return link != null && link.sendResync(replica, frame);
  }

  boolean has(ReplicationBug bug) {
    return bugs.contains(bug);
  }

  Flaw flaw() {
    return ReplicationBug.flaw(bugs);
  }

  boolean isStopped() {
    return stopped;
  }

  Journal journal() {
    return journal;
  }

  Dialler dialler() {
    return dialler;
  }

  PeerIdentity self() {
    return self;
  }

  LongSupplier chance() {
    return chance;
  }

  long bootId() {
    return bootId;
  }

  long nowNs() {
    return core.clock().nowNs();
  }

  private PeerLink link(int node) {
    for (int i = 0; i < peers.size(); i++) {
      if (peers.get(i).node() == node) {
        return peers.get(i);
      }
    }
    return null;
  }

  // Told by connections.

  @Override
  public String onHello(PeerIdentity peer) {
    PeerLink link = link(peer.node());
    if (stopped || link == null || link.core() != peer.core()) {
      return stopped
          ? "node " + self.node() + " stops"
          : peer + " is not known to node " + self.node();
    }
    return link.judge(peer);
  }

  @Override
  public void onOpen(PeerChannel channel) {
    boolean _ = strangers.remove(channel);
    link(channel.peer().node()).onOpen(channel);
  }

  @Override
  public void onMessage(PeerChannel channel, int group, Message message) {
    Replica replica = replicas.get(group);
    if (replica != null) {
      replica.onMessage(message);
    }
  }

  @Override
  public boolean onAppend(PeerChannel channel, AppendFrame frame) {
    return link(channel.peer().node()).take(replicas.get(frame.group()), frame, nowNs());
  }

  @Override
  public void onSync(PeerChannel channel, int group, long index) {
    Replica replica = replicas.get(group);
    if (replica != null) {
      replica.onSync(index);
    }
  }

  @Override
  public void onResync(PeerChannel channel, ResyncFrame frame) {
    Replica replica = replicas.get(frame.group());
    if (replica != null) {
      replica.onResync(channel.peer().node(), frame);
    }
  }

  @Override
  public void onWritable(PeerChannel channel) {
    link(channel.peer().node()).flush();
  }

  @Override
  public void onClosed(PeerChannel channel, String why) {
    boolean _ = strangers.remove(channel);
    if (channel.peer() != null) {
      link(channel.peer().node()).onClosed(channel, why);
      return;
    }
    for (int i = 0; i < peers.size(); i++) {
      // A channel that was dialled, and whose peer has not said hello.
      peers.get(i).onClosed(channel, why);
    }
  }
}
