package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.wire.AppendFrame;
import io.plinth.log.wire.PeerChannel;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.log.wire.PeerListener;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.RaftConfig;
import io.plinth.raft.core.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import org.agrona.DirectBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a replica promises, and when; and the ways to peers. */
class ReplicaTest implements ReplicaListener {
  private static final long STEP_NS = 50_000;
  private static final long MS = 1_000_000;

  private final SimRandom random = new SimRandom(4);
  private final SimNetwork network = new SimNetwork(random);
  private final List<GroupNode> nodes = new ArrayList<>();
  private final List<SimCore> others = new ArrayList<>();
  private long flushed;
  private int flushTells;

  @AfterEach
  void free() {
    nodes.forEach(GroupNode::free);
  }

  private void group(int members, AckPolicy policy) throws RecoveryException {
    RaftConfig config = new RaftConfig(10, 2, policy, 16, 32, 1 << 18, 128, 16, 20);
    int[] numbers = new int[members];
    for (int i = 0; i < members; i++) {
      numbers[i] = i + 1;
    }
    for (int number : numbers) {
      GroupNode node = new GroupNode(number, network, random, config, numbers, this, Set.of());
      nodes.add(node);
      node.start();
    }
  }

  private void step() {
    network.advance(STEP_NS);
    nodes.forEach(node -> node.cycle(STEP_NS));
    others.forEach(core -> core.cycle(STEP_NS));
  }

  private void pass(long durationNs) {
    for (long ns = 0; ns < durationNs; ns += STEP_NS) {
      step();
    }
  }

  private void await(BooleanSupplier condition) {
    for (int i = 0; i < 100_000 && !condition.getAsBoolean(); i++) {
      step();
    }
    assertThat(condition.getAsBoolean()).isTrue();
  }

  /** Writes as soon as the journal has room. */
  private long writeSoon(GroupNode node, long block, int blocks) {
    long index = node.write(block, blocks);
    for (int i = 0; i < 100_000 && index == Replica.NO_ROOM; i++) {
      step();
      index = node.write(block, blocks);
    }
    return index;
  }

  private GroupNode leader() {
    for (GroupNode node : nodes) {
      if (node.up && node.replica != null && node.replica.role() == Role.LEADER) {
        return node;
      }
    }
    return null;
  }

  private GroupNode awaitLeader() {
    await(() ->
        leader() != null && leader().replica.committedIndex() == leader().replica.lastIndex());
    return leader();
  }

  private List<GroupNode> followers() {
    return nodes.stream().filter(node -> node != leader()).toList();
  }

  @Test
  void aGroupOfOneLeadsAtOnceAndCommitsWhatItAppends() throws RecoveryException {
    group(1, AckPolicy.APPENDED);
    GroupNode node = nodes.get(0);
    await(() -> node.replica != null);
    assertThat(node.replica.role()).isEqualTo(Role.LEADER);
    await(() -> node.journal.isReady());
    assertThat(network.nowNs()).as("without an election timeout").isLessThan(10 * MS);
    assertThat(node.journal.counters().records()).as("nor a record").isZero();
    long index = node.write(5, 2);
    assertThat(index).isEqualTo(1);
    assertThat(node.content(1)).isEqualTo("1 PAYLOAD write 5 of 2");
    assertThat(node.replica.committedIndex()).isZero();
    step();
    assertThat(node.replica.committedIndex()).isEqualTo(1);
    node.kill();
    node.start();
    await(() -> node.replica != null);
    assertThat(node.replica.committedIndex()).isEqualTo(1);
    assertThat(node.replica.term()).isEqualTo(2);
    assertThat(writeSoon(node, 6, 1)).isEqualTo(2);
    node.replicator.settle();
    assertThat(node.replica.committedIndex()).as("told at once").isEqualTo(2);
    node.losePower();
    node.start();
    await(() -> node.replica != null);
    assertThat(node.replica.role()).isEqualTo(Role.LEADER);
    assertThat(node.replica.isRecovering()).isFalse();
  }

  /** A log that is full, or whose device is slow, still starts; what is flushed waits for it. */
  @Test
  void aGroupOfOneLeadsBeforeWhatItHasFoundIsDurable() throws RecoveryException {
    group(1, AckPolicy.APPENDED);
    GroupNode node = nodes.get(0);
    await(() -> node.replica != null);
    assertThat(writeSoon(node, 5, 2)).isEqualTo(1);
    step();
    node.kill();
    node.start();
    node.storage.holdSyncs();
    await(() -> node.replica != null);
    assertThat(node.replica.role()).isEqualTo(Role.LEADER);
    assertThat(node.replica.flush()).isFalse();
    assertThat(writeSoon(node, 6, 1)).isEqualTo(2);
    step();
    assertThat(node.replica.committedIndex()).isEqualTo(2);
    assertThat(flushed).isZero();
    assertThat(node.replica.flush()).isFalse();
    node.storage.releaseSyncs();
    await(() -> flushed == 2);
    assertThat(node.replica.flush()).isTrue();
  }

  /** What the log before a checkpoint may have held alone. */
  @Test
  void theStateOfAGroupIsWhatAnotherStartBeginsFrom() throws RecoveryException {
    group(1, AckPolicy.APPENDED);
    GroupNode node = nodes.get(0);
    await(() -> node.replica != null);
    assertThat(writeSoon(node, 5, 2)).isEqualTo(1);
    assertThat(node.replica.isSettled()).isFalse();
    assertThatThrownBy(node.replica.kept()::state).isInstanceOf(IllegalStateException.class);
    step();
    GroupState state = node.replica.kept().state();
    assertThat(state.index()).isEqualTo(1);
    assertThat(state.entryTerm()).isEqualTo(1);
    assertThat(state.term()).isEqualTo(1);
    assertThat(state.vote()).isEqualTo(1);
    assertThat(state.recovering()).isFalse();
    RecoveredGroup again = new RecoveredGroup(state, 1);
    assertThat(again.lastIndex()).isEqualTo(1);
    assertThat(again.hasState()).isTrue();
    assertThat(again.isOfAnotherBoot(state.bootId())).isFalse();
    assertThat(again.isOfAnotherBoot(state.bootId() + 1)).isTrue();
  }

  @Test
  void nothingIsToldBeforeWhatAStartHasFoundIsDurable() throws RecoveryException {
    group(3, AckPolicy.DURABLE);
    GroupNode node = awaitLeader();
    node.kill();
    node.start();
    node.storage.holdSyncs();
    await(() -> node.replica != null);
    pass(100 * MS);
    assertThat(node.replica.isRunning()).isFalse();
    assertThat(node.write(1, 1)).isEqualTo(Replica.NOT_RUNNING);
    node.storage.releaseSyncs();
    await(() -> node.replica.isRunning());
  }

  /** Terms and votes are durable before they are used. */
  @Test
  void noVoteLeavesBeforeItIsDurable() throws RecoveryException {
    group(3, AckPolicy.APPENDED);
    await(() -> nodes.stream().allMatch(node -> node.replica != null && node.replica.isRunning()));
    nodes.get(1).storage.holdSyncs();
    nodes.get(2).storage.holdSyncs();
    pass(300 * MS);
    assertThat(leader()).isNull();
    assertThat(nodes.stream().mapToLong(node -> node.replica.term()).max().orElse(0)).isPositive();
    nodes.get(1).storage.releaseSyncs();
    nodes.get(2).storage.releaseSyncs();
    GroupNode _ = awaitLeader();
  }

  @Test
  void aVoteIsFoundAgainInTheLog() throws RecoveryException {
    group(3, AckPolicy.APPENDED);
    GroupNode leader = awaitLeader();
    long term = leader.replica.term();
    int votes = 0;
    for (GroupNode node : nodes) {
      node.kill();
      node.start();
      boolean voted = node.found.term() == term && node.found.vote() == leader.number;
      votes += voted ? 1 : 0;
    }
    assertThat(votes).as("a majority has voted for the leader").isGreaterThanOrEqualTo(2);
  }

  @Test
  void underDurableNothingIsCommittedBeforeAMajorityHasSynced() throws RecoveryException {
    group(3, AckPolicy.DURABLE);
    GroupNode leader = awaitLeader();
    followers().forEach(node -> node.storage.holdSyncs());
    long index = leader.write(1, 1);
    pass(50 * MS);
    assertThat(leader.replica.committedIndex()).isLessThan(index);
    followers().get(0).storage.releaseSyncs();
    await(() -> leader.replica.committedIndex() == index);
  }

  @Test
  void underAppendedACommitWaitsForNoSyncAndAFlushDoes() throws RecoveryException {
    group(3, AckPolicy.APPENDED);
    GroupNode leader = awaitLeader();
    nodes.forEach(node -> node.storage.holdSyncs());
    long index = leader.write(1, 1);
    await(() -> leader.replica.committedIndex() == index);
    assertThat(leader.replica.flush()).isFalse();
    pass(50 * MS);
    assertThat(flushed).isLessThan(index);
    leader.storage.releaseSyncs();
    pass(10 * MS);
    assertThat(flushed).as("one of three").isLessThan(index);
    followers().get(1).storage.releaseSyncs();
    await(() -> flushed == index);
    assertThat(leader.replica.flush()).as("nothing new").isTrue();
    assertThat(flushTells).isPositive();
  }

  @Test
  void aMinorityThatIsGoneDelaysNothing() throws RecoveryException {
    group(3, AckPolicy.DURABLE);
    GroupNode leader = awaitLeader();
    GroupNode lost = followers().get(0);
    network.block(lost.number, leader.number);
    long start = network.nowNs();
    for (int i = 0; i < 50; i++) {
      long index = leader.write(i, 2);
      await(() -> leader.replica.committedIndex() == index);
    }
    assertThat(network.nowNs() - start).isLessThan(200 * MS);
    network.heal();
    await(() -> lost.replica.committedIndex() == leader.replica.committedIndex());
    for (long i = 1; i <= leader.replica.lastIndex(); i++) {
      assertThat(lost.content(i)).isEqualTo(leader.content(i));
    }
  }

  /** What waits for a slow peer is bounded, and what was dropped is sent again. */
  @Test
  void aSlowPeerCatchesUp() throws RecoveryException {
    group(3, AckPolicy.APPENDED);
    GroupNode leader = awaitLeader();
    GroupNode slow = followers().get(0);
    network.slow(leader.number, slow.number, 0, 2_000);
    for (int i = 0; i < 200; i++) {
      long index = leader.write(i, 3);
      await(() -> leader.replica.committedIndex() == index);
    }
    assertThat(slow.replica.lastIndex()).isLessThan(leader.replica.lastIndex());
    network.heal();
    await(() -> slow.replica.committedIndex() == leader.replica.committedIndex());
  }

  /** Writes three blocks; as often as the journal has to make room first. */
  private long written(GroupNode node, long id) {
    long index = node.write(id, 3);
    while (index == Replica.NO_ROOM && node.journal.refusal() == Status.EAGAIN) {
      step();
      index = node.write(id, 3);
    }
    assertThat(index).isPositive();
    return index;
  }

  @Test
  void aFollowerWithoutRoomDelaysNobodyAndCatchesUpWhenThereIsSome() throws RecoveryException {
    group(3, AckPolicy.DURABLE);
    GroupNode leader = awaitLeader();
    GroupNode full = followers().get(0);
    full.storage.limitNewSegments(0);
    long slowest = 0;
    for (int i = 0; i < 300; i++) {
      long start = network.nowNs();
      long index = written(leader, i);
      await(() -> leader.replica.committedIndex() == index);
      slowest = Math.max(slowest, network.nowNs() - start);
    }
    assertThat(leader).isSameAs(leader());
    assertThat(slowest).isLessThan(50 * MS);
    assertThat(full.replica.lastIndex()).isLessThan(leader.replica.lastIndex());
    full.disk.limitSegments(Integer.MAX_VALUE);
    await(() -> full.replica.committedIndex() == leader.replica.committedIndex());
    for (long i = 1; i <= leader.replica.lastIndex(); i++) {
      assertThat(full.content(i)).isEqualTo(leader.content(i));
    }
  }

  /** What it can apply by that may be what keeps it from having room. */
  @Test
  void aFollowerWithoutRoomLearnsWhatIsCommittedOfWhatItHas() throws RecoveryException {
    group(3, AckPolicy.DURABLE);
    GroupNode leader = awaitLeader();
    GroupNode full = followers().get(0);
    full.storage.limitNewSegments(0);
    for (int i = 0; i < 40; i++) {
      long index = writeSoon(leader, i, 20);
      await(() -> leader.replica.committedIndex() == index);
    }
    long last = full.replica.lastIndex();
    // All of it is within the window of what may be on its way.
    assertThat(last).isLessThan(32).isLessThan(leader.replica.lastIndex());
    full.kill();
    full.start();
    await(() -> full.replica != null && full.replica.committedIndex() == last);
    assertThat(full.replica.lastIndex()).isEqualTo(last);
  }

  @Test
  void aLostConnectionIsMadeAnew() throws RecoveryException {
    group(3, AckPolicy.APPENDED);
    GroupNode leader = awaitLeader();
    GroupNode other = followers().get(0);
    network.reset(leader.number, other.number);
    pass(MS);
    assertThat(leader.replicator.isConnected(other.number)).isFalse();
    await(() -> leader.replicator.isConnected(other.number));
    long index = leader.write(1, 1);
    await(() -> other.replica.committedIndex() == index);
  }

  @Test
  void aSilentPeerIsTakenForDead() throws RecoveryException {
    group(3, AckPolicy.APPENDED);
    GroupNode leader = awaitLeader();
    GroupNode other = followers().get(0);
    network.block(other.number, leader.number);
    await(() -> !leader.replicator.isConnected(other.number));
    network.heal();
    await(() -> leader.replicator.isConnected(other.number));
  }

  @Test
  void idlePeersDoNotTakeEachOtherForDead() throws RecoveryException {
    // Two nodes, each with a group of its own: there is nothing to say.
    for (int number = 1; number <= 2; number++) {
      RaftConfig config = RaftConfig.defaults(AckPolicy.APPENDED);
      GroupNode node =
          new GroupNode(number, network, random, config, new int[] {number}, this, Set.of());
      nodes.add(node);
      node.start();
      node.replicator.addPeer(3 - number, 0, "node-" + (3 - number));
    }
    await(() -> nodes.get(0).replicator.isConnected(2));
    long start = network.nowNs();
    while (network.nowNs() < start + 3_000 * MS) {
      step();
      assertThat(nodes.get(0).replicator.isConnected(2)).isTrue();
    }
  }

  @Test
  void strangersAreRefused() throws RecoveryException {
    group(1, AckPolicy.APPENDED);
    await(() -> nodes.get(0).replica != null);
    Stranger stranger = new Stranger(9, 1, 1);
    await(() -> stranger.why != null);
    assertThat(stranger.why).isEqualTo("it refuses us: node 9 core 0 is not known to node 1");
  }

  @Test
  void anIncarnationThatIsOverIsRefused() throws RecoveryException {
    group(1, AckPolicy.APPENDED);
    await(() -> nodes.get(0).replica != null);
    nodes.get(0).replicator.addPeer(9, 0, "nine");
    Stranger second = new Stranger(9, 1, 6);
    await(() -> second.open);
    Stranger first = new Stranger(9, 1, 5);
    await(() -> first.why != null);
    assertThat(first.why).isEqualTo("it refuses us: incarnation 5 of node 9 is over: 6 was here");
    assertThat(second.why).isNull();
  }

  @Test
  void whoSaysNothingIsDisconnected() throws RecoveryException {
    group(1, AckPolicy.APPENDED);
    await(() -> nodes.get(0).replica != null);
    SimCore core = new SimCore(0, 0);
    others.add(core);
    Mute mute = new Mute();
    boolean _ =
        network
            .attach(9, core)
            .connect(
                "node-1",
                new Connector() {
                  @Override
                  public ConnectionHandler onConnected(Connection connection) {
                    return mute;
                  }

                  @Override
                  public void onConnectFailed(int status) {}
                });
    pass(500 * MS);
    assertThat(mute.closed).isFalse();
    await(() -> mute.closed);
  }

  /** The end of a connection that says nothing. */
  private static final class Mute implements ConnectionHandler {
    boolean closed;

    @Override
    public int onReceive(Connection connection, DirectBuffer buffer, int offset, int length) {
      return length;
    }

    @Override
    public void onDirectReceived(Connection connection) {}

    @Override
    public void onWritable(Connection connection) {}

    @Override
    public void onClosed(Connection connection, int reason) {
      closed = true;
    }
  }

  @Test
  void aFailedDeviceStopsTheReplica() throws RecoveryException {
    group(3, AckPolicy.DURABLE);
    GroupNode leader = awaitLeader();
    leader.storage.failSyncs();
    long _ = leader.write(1, 1);
    await(() -> leader.replica.isStopped());
    assertThat(leader.write(2, 1)).isEqualTo(Replica.NOT_RUNNING);
    await(() ->
        nodes.stream().anyMatch(node -> node != leader && node.replica.role() == Role.LEADER));
  }

  /** Speaks the protocol as a node of some number, and has nothing to say. */
  private final class Stranger implements PeerListener, Connector {
    private final PeerIdentity self;
    private final int target;
    boolean open;
    String why;

    Stranger(int node, int target, long incarnation) {
      this.self = PeerIdentity.of(GroupNode.CLUSTER, node, 0, incarnation, new UUID(3, 3));
      this.target = target;
      SimCore core = new SimCore(0, 0);
      SimHost host = network.attach(node, core);
      others.add(core);
      boolean _ = host.connect("node-" + target, this);
    }

    @Override
    public ConnectionHandler onConnected(Connection connection) {
      return PeerChannel.dialled(connection, self, target, 0, this);
    }

    @Override
    public void onConnectFailed(int status) {
      why = Status.name(status);
    }

    @Override
    public String onHello(PeerIdentity peer) {
      return null;
    }

    @Override
    public void onOpen(PeerChannel channel) {
      open = true;
    }

    @Override
    public void onMessage(PeerChannel channel, int group, Message message) {}

    @Override
    public void onSync(PeerChannel channel, int group, long index) {}

    @Override
    public void onResync(PeerChannel channel, ResyncFrame frame) {}

    @Override
    public boolean onAppend(PeerChannel channel, AppendFrame frame) {
      return true;
    }

    @Override
    public void onWritable(PeerChannel channel) {}

    @Override
    public void onClosed(PeerChannel channel, String reason) {
      why = reason;
    }
  }

  @Override
  public void onRole(Replica replica, boolean leads, long term, int leaderNode) {}

  @Override
  public void onCommitted(Replica replica, long from, long to) {}

  @Override
  public void onFlushed(Replica replica, long index) {
    flushed = Math.max(flushed, index);
    flushTells++;
  }

  @Override
  public void onReadGranted(Replica replica, long id, long index) {}

  @Override
  public void onReadRefused(Replica replica, long id) {}

  @Override
  public void onCommittedLost(Replica replica, long index) {
    throw new AssertionError("lost: " + index);
  }

  @Override
  public void onEpochRaised(Replica replica, long epoch) {}

  @Override
  public void onResyncNeeded(Replica replica, int node) {
    throw new AssertionError("node " + node + " needs what is compacted");
  }

  @Override
  public void onStopped(Replica replica, String why) {}
}
