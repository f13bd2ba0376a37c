package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.volume.ExtentList;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What clients of any node see of a volume in single situations; by chance: StoreGroupSim. Nodes 1
 * to 3 have replicas, node 4 has none.
 */
@Timeout(60)
class ForwardTest {
  private static final long STEP_NS = 100_000;
  private static final long MS = 1_000_000;
  private static final int LIMIT = 100_000;
  private static final int CELL = CellHistory.CELL_BYTES;

  private final SimRandom random = new SimRandom(7);
  private final SimNetwork network = new SimNetwork(random);
  private final List<StoreNode> nodes = new ArrayList<>();
  private final NativeMemory memory = NativeMemory.reserve(1 << 20);
  private StoreNode door;
  private StoreNode leader;
  private long nextNumber = 1;

  @BeforeEach
  void begin() throws RecoveryException {
    begin(Set.of());
  }

  private void begin(Set<ForwardingBug> bugs) throws RecoveryException {
    for (int number = 1; number <= StoreNode.NODES + 1; number++) {
      StoreNode node = new StoreNode(number, network, random, 1, 32, Set.of());
      nodes.add(node.forwards(number <= StoreNode.NODES, bugs));
      node.start();
    }
    door = nodes.get(StoreNode.NODES);
    awaitLeader(null);
  }

  @AfterEach
  void end() {
    nodes.forEach(StoreNode::free);
    memory.close();
  }

  private List<StoreNode> members() {
    return nodes.subList(0, StoreNode.NODES);
  }

  private StoreNode follower() {
    return members().get(leader.number % StoreNode.NODES);
  }

  private void awaitLeader(StoreNode other) {
    StoreNode[] found = new StoreNode[1];
    await(() -> {
      for (StoreNode node : members()) {
        boolean leads = node.isOpen() && !node.isPaused() && node.volume(1).group().leads();
        found[0] = leads && node != other ? node : found[0];
      }
      return found[0] != null;
    });
    leader = found[0];
  }

  private void step() {
    network.advance(STEP_NS);
    nodes.forEach(node -> node.cycle(STEP_NS));
  }

  private void pass(long ns) {
    for (long passed = 0; passed < ns; passed += STEP_NS) {
      step();
    }
  }

  private void await(BooleanSupplier condition) {
    for (int i = 0; i < LIMIT; i++) {
      if (condition.getAsBoolean()) {
        return;
      }
      step();
    }
    throw new AssertionError("what was waited for has not come");
  }

  /** What a request has come to. */
  private static final class Outcome {
    int status = 1;
    long[] values;
    final List<String> extents = new ArrayList<>();

    boolean isKnown() {
      return status != 1;
    }
  }

  private StoreRequest request(
      StoreNode node, Operation operation, int first, int cells, Outcome outcome) {
    CellHistory.Change change = new CellHistory.Change(nextNumber, nextNumber, first, cells, 0);
    nextNumber++;
    return new StoreRequest(
        node,
        1,
        operation,
        first,
        cells,
        change,
        0,
        memory,
        (done, status) -> {
          outcome.status = status;
          if (status == Status.OK && operation == Operation.READ) {
            outcome.values = done.takeValues();
          }
          ExtentList extents = done.extents(0);
          for (int i = 0; i < extents.count(); i++) {
            outcome.extents.add(extents.length(i) / CELL + ":" + extents.state(i));
          }
        });
  }

  private Outcome send(StoreNode node, Operation operation, int first, int cells) {
    Outcome outcome = new Outcome();
    request(node, operation, first, cells, outcome).send();
    return outcome;
  }

  private Outcome run(StoreNode node, Operation operation, int first, int cells) {
    Outcome outcome = send(node, operation, first, cells);
    await(outcome::isKnown);
    return outcome;
  }

  private static ForwardedVolume facade(StoreNode node) {
    return (ForwardedVolume) node.export(1);
  }

  private void isolate(StoreNode node) {
    for (StoreNode peer : nodes) {
      network.block(node.number, peer.number);
      network.block(peer.number, node.number);
    }
  }

  @Test
  void everyNodeServesWhatEveryOtherHasWritten() {
    long newest = 0;
    for (StoreNode writer : nodes) {
      long number = nextNumber;
      newest = number;
      assertThat(run(writer, Operation.WRITE, 4, 12).status).isZero();
      for (StoreNode reader : nodes) {
        Outcome read = run(reader, Operation.READ, 0, 20);
        assertThat(read.status).isZero();
        for (int cell = 0; cell < 20; cell++) {
          long expected = cell >= 4 && cell < 16 ? number : 0;
          assertThat(read.values[cell]).as("cell %d", cell).isEqualTo(expected);
        }
      }
    }
    assertThat(run(door, Operation.FLUSH, 0, 0).status).isZero();
    assertThat(run(door, Operation.CACHE, 0, 8).status).isZero();
    assertThat(run(door, Operation.TRIM, 4, 4).status).isZero();
    assertThat(run(door, Operation.WRITE_ZEROES, 10, 2).status).isZero();
    Outcome read = run(door, Operation.READ, 4, 12);
    assertThat(read.values).startsWith(0, 0, 0, 0).endsWith(newest);
    assertThat(read.values[6]).isZero();
    Outcome extents = run(door, Operation.BLOCK_STATUS, 0, 20);
    assertThat(extents.extents)
        .isEqualTo(run(leader, Operation.BLOCK_STATUS, 0, 20).extents)
        .contains("8:3");
  }

  /** More than a chunk of memory, or a piece of the stream, and more runs than two. */
  @Test
  void largeRequestsComeThroughWhole() {
    int cells = 500;
    long number = nextNumber;
    assertThat(run(door, Operation.WRITE, 3, cells).status).isZero();
    assertThat(run(door, Operation.TRIM, 100, 100).status).isZero();
    assertThat(run(door, Operation.TRIM, 300, 2).status).isZero();
    Outcome read = run(door, Operation.READ, 0, 600);
    assertThat(read.status).isZero();
    for (int cell = 0; cell < 600; cell++) {
      boolean trimmed = (cell >= 100 && cell < 200) || cell == 300 || cell == 301;
      boolean written = cell >= 3 && cell < 3 + cells && !trimmed;
      assertThat(read.values[cell]).as("cell %d", cell).isEqualTo(written ? number : 0);
    }
    assertThat(door.forwarding().client.isIdle()).isTrue();
  }

  @Test
  void aRangeOutsideIsAnsweredAsTheLeaderAnswersIt() {
    int cells = (int) (StoreNode.VOLUME_BYTES / CELL);
    assertThat(run(door, Operation.READ, cells, 2).status).isEqualTo(Status.EINVAL);
    assertThat(run(door, Operation.WRITE, cells, 2).status).isEqualTo(Status.ENOSPC);
  }

  /** A lead that is handed over in order shows nothing to anybody who reads. */
  @Test
  void readsGoOnThroughAHandover() {
    assertThat(run(door, Operation.WRITE, 0, 8).status).isZero();
    StoreNode next = follower();
    boolean _ = leader.volume(1).group().replica().transferLeadership(next.number);
    for (int i = 0; i < 2000; i++) {
      Outcome atDoor = send(door, Operation.READ, 0, 8);
      Outcome atOld = send(leader, Operation.READ, 0, 8);
      await(() -> atDoor.isKnown() && atOld.isKnown());
      assertThat(List.of(atDoor.status, atOld.status)).as("read %d", i).containsOnly(Status.OK);
    }
    assertThat(next.volume(1).group().leads()).isTrue();
    assertThat(leader.volume(1).group().leads()).isFalse();
  }

  /** The leader dies with a write begun and one not begun, and with what changes nothing. */
  @Test
  void whatIsKnownToHaveDoneNothingIsAskedAgainAndNothingElse() {
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    Outcome write = send(door, Operation.WRITE, 0, 2);
    Outcome read = send(door, Operation.READ, 8, 2);
    Outcome flush = send(door, Operation.FLUSH, 0, 0);
    // Sent, and answered by nobody.
    isolate(leader);
    pass(2 * MS);
    Outcome later = send(door, Operation.WRITE, 4, 2);
    pass(2 * MS);
    assertThat(write.isKnown() || read.isKnown()).isFalse();
    leader.kill();
    StoreNode dead = leader;
    long beginNs = network.nowNs();
    await(() -> write.isKnown() && read.isKnown() && flush.isKnown() && later.isKnown());
    assertThat(write.status).isEqualTo(Status.ESTALE);
    assertThat(List.of(read.status, flush.status)).containsOnly(Status.OK);
    // It was sent as well: what the dead node has made of it is not known.
    assertThat(later.status).isEqualTo(Status.ESTALE);
    assertThat(network.nowNs() - beginNs).as("a second, and some").isLessThan(1_500 * MS);
    assertThat(session.isOver()).as("no new epoch").isFalse();
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    assertThat(dead.up).isFalse();
  }

  /** Without a majority nobody leads: nothing is taken, and when one is back all goes on. */
  @Test
  void requestsWaitForALeader() throws RecoveryException {
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    StoreNode first = follower();
    StoreNode second = leader;
    first.kill();
    second.kill();
    pass(1_500 * MS);
    Outcome write = send(door, Operation.WRITE, 0, 2);
    Outcome read = send(door, Operation.READ, 0, 2);
    pass(3_000 * MS);
    assertThat(write.isKnown() || read.isKnown()).isFalse();
    first.start();
    second.start();
    await(() -> write.isKnown() && read.isKnown());
    assertThat(List.of(write.status, read.status)).containsOnly(Status.OK);
  }

  /** What it promises is not so yet: it is asked again, and answered when it is. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aFlushWhoseWayIsLostIsNotDone(boolean planted) throws RecoveryException {
    if (planted) {
      nodes.forEach(StoreNode::free);
      nodes.clear();
      begin(Set.of(ForwardingBug.FLUSH_LOST_IS_DONE));
    }
    StoreSession _ = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    // Nobody makes a majority with the leader.
    members().stream().filter(node -> node != leader).forEach(node -> node.pause(60 * MS));
    Outcome flush = send(door, Operation.FLUSH, 0, 0);
    pass(4 * MS);
    assertThat(flush.isKnown()).isFalse();
    network.reset(door.number, leader.number);
    pass(10 * MS);
    assertThat(flush.isKnown()).isEqualTo(planted);
    await(flush::isKnown);
    assertThat(flush.status).isZero();
  }

  /** They may have asked another node meanwhile: nothing of what they asked here is begun late. */
  @Test
  void clientsAreDisconnectedWhenTheyHaveWaitedTooLong() throws RecoveryException {
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    members().forEach(StoreNode::kill);
    pass(100 * MS);
    Outcome _ = send(door, Operation.WRITE, 0, 2);
    pass(1_800 * MS);
    assertThat(session.isOver()).isFalse();
    pass(500 * MS);
    assertThat(session.isOver()).isTrue();
    for (StoreNode node : members()) {
      node.start();
    }
    pass(3_000 * MS);
    StoreSession another = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    assertThat(another.isOver()).isFalse();
  }

  /** The same when it was the node that did nothing. */
  @Test
  void clientsOfANodeThatStoodStillAreDisconnected() {
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    door.pause(1_900 * MS);
    pass(2_500 * MS);
    assertThat(session.isOver()).isFalse();
    door.pause(2_300 * MS);
    pass(2_500 * MS);
    assertThat(session.isOver()).isTrue();
  }

  /** A node that is cut off forwards as soon as it can reach the others again. */
  @Test
  void aLeaderThatIsCutOffServesItsClientsThroughTheNextOne() {
    assertThat(run(leader, Operation.WRITE, 0, 2).status).isZero();
    StoreNode cutOff = leader;
    isolate(cutOff);
    Outcome write = send(cutOff, Operation.WRITE, 0, 2);
    Outcome read = send(cutOff, Operation.READ, 0, 2);
    awaitLeader(cutOff);
    long number = nextNumber;
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    await(() -> !cutOff.volume(1).group().leads());
    await(write::isKnown);
    assertThat(write.status).isEqualTo(Status.ESTALE);
    network.heal();
    await(read::isKnown);
    assertThat(read.status).isZero();
    assertThat(run(cutOff, Operation.READ, 0, 2).values).containsOnly(number);
  }

  /** One node's disk is its own trouble: nobody sees an error, whatever he had asked for. */
  @Test
  void aLogThatFailsShowsNoErrorToClientsOfAnyNode() {
    StoreNode victim = leader;
    List<Outcome> all = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      for (StoreNode node : List.of(victim, door)) {
        all.add(send(node, Operation.WRITE, 2 * i, 2));
        all.add(send(node, Operation.READ, 2 * i, 2));
        all.add(send(node, Operation.FLUSH, 0, 0));
      }
      if (i == 10) {
        victim.storage.failSyncs();
      }
      pass(MS);
    }
    await(() -> all.stream().allMatch(Outcome::isKnown));
    assertThat(all).allMatch(end -> end.status == Status.OK || end.status == Status.ESTALE);
    assertThat(victim.volume(1).group().isStopped()).isTrue();
    for (StoreNode node : nodes) {
      assertThat(run(node, Operation.WRITE, 0, 2).status).isZero();
      assertThat(run(node, Operation.READ, 0, 2).status).isZero();
    }
  }

  /** A node that sleeps is noticed within about a second. */
  @Test
  void aLeaderThatSleepsIsGivenUp() {
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    StoreNode sleeper = leader;
    sleeper.pause(5_000 * MS);
    pass(MS);
    Outcome write = send(door, Operation.WRITE, 0, 2);
    Outcome read = send(door, Operation.READ, 0, 2);
    long beginNs = network.nowNs();
    await(() -> write.isKnown() && read.isKnown());
    assertThat(network.nowNs() - beginNs).isLessThan(1_500 * MS);
    assertThat(List.of(write.status, read.status)).containsExactly(Status.ESTALE, Status.OK);
    long number = nextNumber;
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    // What lies at the sleeper has no effect when it wakes.
    pass(6_000 * MS);
    assertThat(run(sleeper, Operation.READ, 0, 2).values).containsOnly(number);
  }

  @Test
  void aSlowLinkIsSlowAndNothingElse() {
    network.slow(leader.number, door.number, 30 * MS, 100);
    network.slow(door.number, leader.number, 30 * MS, 100);
    StoreSession session = new StoreSession(door, 1);
    List<Outcome> all = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      all.add(send(door, i % 2 == 0 ? Operation.WRITE : Operation.READ, 2 * i, 2));
    }
    await(() -> all.stream().allMatch(Outcome::isKnown));
    assertThat(all).allMatch(outcome -> outcome.status == Status.OK);
    assertThat(session.isOver()).isFalse();
  }

  /** More requests than there is room for, of large ones. */
  @Test
  void whatFindsNoRoomWaitsForIt() {
    List<Outcome> all = new ArrayList<>();
    for (int i = 0; i < 600; i++) {
      Operation operation = i % 3 == 0 ? Operation.WRITE : Operation.READ;
      all.add(send(door, operation, 0, i % 5 == 0 ? 500 : 3));
    }
    await(() -> all.stream().allMatch(Outcome::isKnown));
    assertThat(all).allMatch(outcome -> outcome.status == Status.OK);
    assertThat(door.forwarding().client.isIdle()).isTrue();
  }

  /** G7: also clients of a node that has lost nothing. */
  @Test
  void aNewEpochDisconnectsTheClientsOfAllNodes() throws RecoveryException {
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    for (StoreNode node : members()) {
      node.losePower();
    }
    for (StoreNode node : members()) {
      node.start();
    }
    Outcome read = run(door, Operation.READ, 0, 2);
    assertThat(session.isOver()).isTrue();
    assertThat(read.status).isIn(Status.OK, Status.ESTALE);
    StoreSession next = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    assertThat(next.isOver()).isFalse();
  }

  @Test
  void aRollbackDisconnectsTheClientsOfAllNodes() {
    assertThat(
            command(done -> leader.store().snapshot(leader.volume(1), "s", () -> true, done::set)))
        .isZero();
    List<StoreSession> sessions = new ArrayList<>();
    for (StoreNode node : nodes) {
      sessions.add(new StoreSession(node, 1));
      assertThat(run(node, Operation.WRITE, 0, 2).status).isZero();
    }
    // One of them does not hear of it at once.
    network.reset(door.number, leader.number);
    assertThat(
            command(done -> leader.store().rollback(leader.volume(1), "s", () -> true, done::set)))
        .isZero();
    assertThat(run(door, Operation.READ, 0, 2).status).isIn(Status.OK, Status.ESTALE);
    await(() -> sessions.stream().allMatch(StoreSession::isOver));
    assertThat(run(door, Operation.READ, 0, 2).values).containsOnly(0);
  }

  /** Whoever could not be told learns it before anything else, and nobody else is sent away. */
  @Test
  void aNodeThatWasCutOffLearnsOfARollbackWhenItIsBack() {
    assertThat(
            command(done -> leader.store().snapshot(leader.volume(1), "s", () -> true, done::set)))
        .isZero();
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    isolate(door);
    pass(2_000 * MS);
    network.heal();
    assertThat(run(door, Operation.READ, 0, 2).status).isZero();
    assertThat(session.isOver()).as("nothing has happened").isFalse();
    isolate(door);
    pass(2_000 * MS);
    assertThat(
            command(done -> leader.store().rollback(leader.volume(1), "s", () -> true, done::set)))
        .isZero();
    assertThat(session.isOver()).as("not heard of it").isFalse();
    network.heal();
    Outcome read = run(door, Operation.READ, 0, 2);
    assertThat(session.isOver()).isTrue();
    assertThat(read.status).isIn(Status.OK, Status.ESTALE);
  }

  @Test
  void aVolumeThatIsDeletedDisconnectsItsClientsAndAnswersNothing() {
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    for (StoreNode node : members()) {
      node.store().remove(node.volume(1));
    }
    await(session::isOver);
    Outcome waiting = send(door, Operation.READ, 0, 2);
    pass(100 * MS);
    assertThat(waiting.isKnown()).isFalse();
    Volume export = door.export(1);
    door.forwarding().client.remove((ForwardedVolume) export);
    await(waiting::isKnown);
    assertThat(waiting.status).isEqualTo(Status.ESHUTDOWN);
  }

  @Test
  void clientsAreCountedWhereTheyAreServed() {
    assertThat(leader.volume(1).attachmentCount()).isZero();
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.READ, 0, 2).status).isZero();
    assertThat(facade(door).attachmentCount()).isEqualTo(1);
    assertThat(leader.volume(1).attachmentCount()).isEqualTo(1);
    StoreSession local = new StoreSession(leader, 1);
    assertThat(leader.volume(1).attachmentCount()).isEqualTo(2);
    session.close();
    local.close();
    await(() -> leader.volume(1).attachmentCount() == 0);
  }

  /** Also a client that asks for nothing is known to whoever leads, and told what concerns it. */
  @Test
  void aClientThatAsksForNothingIsKnownToEachLeader() throws RecoveryException {
    StoreSession session = new StoreSession(door, 1);
    await(() -> leader.volume(1).attachmentCount() == 1);
    StoreNode before = leader;
    StoreNode next = follower();
    boolean _ = before.volume(1).group().replica().transferLeadership(next.number);
    await(() -> next.volume(1).group().leads() && next.volume(1).attachmentCount() == 1);
    await(() -> before.volume(1).attachmentCount() == 0);
    next.kill();
    awaitLeader(next);
    await(() -> leader.volume(1).attachmentCount() == 1);
    assertThat(session.isOver()).isFalse();
    next.start();
    pass(500 * MS);
    members().forEach(StoreNode::losePower);
    for (StoreNode node : members()) {
      node.start();
    }
    await(session::isOver);
  }

  /** A leader that was started after a client attached can tell that nothing concerns it. */
  @Test
  void aClientStaysWhenAllNodesAreStartedAnewOneByOne() throws RecoveryException {
    StoreSession session = new StoreSession(door, 1);
    StoreNode first = leader;
    for (StoreNode node : members()) {
      if (node != first) {
        startAnew(node);
      }
    }
    startAnew(first);
    awaitLeader(null);
    assertThat(run(door, Operation.READ, 0, 2).status).isZero();
    assertThat(session.isOver()).isFalse();
  }

  private void startAnew(StoreNode node) throws RecoveryException {
    for (int i = 0; i < 20; i++) {
      assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
    }
    pass(100 * MS);
    assertThat(command(done -> node.store().checkpointer().request(done::set))).isZero();
    node.kill();
    node.start();
    await(node::isHealthy);
    awaitLeader(null);
    assertThat(run(door, Operation.WRITE, 0, 2).status).isZero();
  }

  /** Longer than a connection is kept that nobody needs. */
  @Test
  void aConnectionLastsAsLongAsThereAreClients() {
    StoreSession session = new StoreSession(door, 1);
    assertThat(run(door, Operation.READ, 0, 2).status).isZero();
    pass(61_000 * MS);
    assertThat(leader.volume(1).attachmentCount()).isEqualTo(1);
    session.close();
    pass(130_000 * MS);
    assertThat(leader.forwarding().server.sessionCount()).isZero();
    assertThat(run(door, Operation.READ, 0, 2).status).isZero();
  }

  // Clients that go from one node to another.

  private Outcome send(StoreSession session, Operation operation, int first, int cells) {
    Outcome outcome = new Outcome();
    StoreRequest request = request(session.node, operation, first, cells, outcome);
    request.session = session;
    request.send();
    return outcome;
  }

  private StoreSession attach(StoreNode node) {
    StoreSession session = new StoreSession(node, 1);
    await(session::isAdmitted);
    return session;
  }

  /** Writes through a session and reads it back, now and later. */
  private void assertWrites(StoreSession session) {
    long number = nextNumber;
    Outcome write = send(session, Operation.WRITE, 0, 2);
    await(write::isKnown);
    assertThat(write.status).isZero();
    for (int i = 0; i < 4; i++) {
      Outcome read = send(session, Operation.READ, 0, 2);
      await(read::isKnown);
      assertThat(read.values).containsOnly(number);
      pass(500 * MS);
    }
  }

  /** What the other node has sent comes before its answer. */
  @Test
  void whoAttachesWaitsForWhatIsOnItsWayFromOtherNodes() {
    StoreSession before = attach(door);
    network.slow(door.number, leader.number, 40 * MS, 0);
    Outcome onItsWay = send(before, Operation.WRITE, 0, 2);
    pass(2 * MS);
    before.leave();
    StoreSession after = new StoreSession(follower(), 1);
    Outcome read = send(after, Operation.READ, 0, 2);
    pass(30 * MS);
    assertThat(after.isAdmitted()).isFalse();
    await(read::isKnown);
    assertThat(read.values).as("it came before the answer").containsOnly(1);
    assertThat(onItsWay.isKnown()).as("whoever asked has gone, and is told all the same").isTrue();
    assertWrites(after);
    assertThat(before.isOver()).isTrue();
  }

  /** The leader's own clients wait as those of others do. */
  @Test
  void clientsOfTheLeaderWaitAsWell() {
    StoreSession before = attach(door);
    network.slow(door.number, leader.number, 40 * MS, 0);
    Outcome _ = send(before, Operation.WRITE, 0, 2);
    pass(2 * MS);
    before.leave();
    StoreSession after = new StoreSession(leader, 1);
    pass(30 * MS);
    assertThat(after.isAdmitted()).isFalse();
    await(after::isAdmitted);
    assertWrites(after);
  }

  /** A node without a leader is asked by nobody; it looks when it has found one. */
  @Test
  void whatANodeHoldsForAClientThatHasGoneIsNotPassedOn() {
    StoreSession goes = attach(door);
    StoreSession stays = attach(door);
    isolate(door);
    pass(1_200 * MS);
    Outcome held = send(goes, Operation.WRITE, 0, 2);
    Outcome kept = send(stays, Operation.WRITE, 8, 2);
    pass(10 * MS);
    goes.leave();
    network.heal();
    long beginNs = network.nowNs();
    StoreSession after = attach(leader);
    assertThat(network.nowNs() - beginNs).as("nobody forwards to it").isLessThan(10 * MS);
    assertWrites(after);
    await(kept::isKnown);
    assertThat(kept.status).as("a client that is there").isZero();
    assertThat(held.isKnown()).isFalse();
    assertThat(goes.isOver()).isTrue();
    assertThat(stays.isOver()).isFalse();
  }

  /** The leader that has lost its lead holds what was given back to it. */
  @Test
  void aLeaderThatIsDeposedDropsWhatItHoldsForAClientThatHasGone() {
    StoreNode old = leader;
    StoreSession before = attach(old);
    isolate(old);
    awaitLeader(old);
    await(() -> !old.volume(1).group().leads());
    Outcome held = send(before, Operation.TRIM, 0, 2);
    pass(10 * MS);
    before.leave();
    StoreSession after = attach(door);
    network.heal();
    assertWrites(after);
    assertThat(held.isKnown()).isFalse();
    assertThat(before.isOver()).isTrue();
  }

  /** Nothing of a connection that has ended is begun. */
  @Test
  void aNodeThatDoesNotAnswerIsWaitedForUntilItsConnectionEnds() {
    StoreSession before = attach(door);
    isolate(door);
    Outcome _ = send(before, Operation.WRITE, 0, 2);
    pass(2 * MS);
    before.leave();
    StoreSession after = new StoreSession(leader, 1);
    pass(300 * MS);
    assertThat(after.isAdmitted()).isFalse();
    await(after::isAdmitted);
    network.heal();
    assertWrites(after);
    assertThat(run(door, Operation.READ, 0, 2).status).isZero();
  }

  @Test
  void theNextLeaderIsAskedWhenOneGoesBeforeItHasAnswered() {
    StoreSession before = attach(door);
    StoreNode old = leader;
    StoreNode asker = follower();
    isolate(door);
    Outcome _ = send(before, Operation.WRITE, 0, 2);
    pass(2 * MS);
    before.leave();
    StoreSession after = new StoreSession(asker, 1);
    pass(20 * MS);
    assertThat(after.isAdmitted()).isFalse();
    old.kill();
    awaitLeader(old);
    await(after::isAdmitted);
    network.heal();
    assertWrites(after);
    assertThat(after.isOver()).isFalse();
  }

  /** The question may have reached other nodes before the second client's old connection ended. */
  @Test
  void whoAttachesWhileAFenceIsAskedForWaitsForTheNextOne() {
    StoreSession before = attach(door);
    StoreNode asker = follower();
    StoreSession _ = attach(asker);
    network.slow(door.number, leader.number, 40 * MS, 0);
    StoreSession first = new StoreSession(asker, 1);
    pass(10 * MS);
    Outcome _ = send(before, Operation.WRITE, 0, 2);
    pass(2 * MS);
    before.leave();
    StoreSession second = new StoreSession(asker, 1);
    await(first::isAdmitted);
    assertThat(second.isAdmitted()).isFalse();
    await(second::isAdmitted);
    assertWrites(second);
  }

  /** Nobody leads in the same term again. */
  @Test
  void whatWasSentToALeaderOfBeforeIsNotBegunWhenItLeadsAgain() {
    StoreSession before = attach(door);
    StoreNode first = leader;
    StoreNode second = follower();
    network.slow(door.number, first.number, 300 * MS, 0);
    Outcome _ = send(before, Operation.WRITE, 0, 2);
    pass(2 * MS);
    before.leave();
    assertThat(first.volume(1).group().replica().transferLeadership(second.number)).isTrue();
    await(() -> second.volume(1).group().leads());
    StoreSession after = attach(second);
    Outcome write = send(after, Operation.WRITE, 0, 2);
    await(write::isKnown);
    assertThat(write.status).isZero();
    assertThat(second.volume(1).group().replica().transferLeadership(first.number)).isTrue();
    await(() -> first.volume(1).group().leads());
    assertWrites(after);
    assertThat(before.isOver()).isTrue();
  }

  /** To the same node, which has to send what it holds of nobody who has gone. */
  @Test
  void aClientMayComeBackToTheSameNode() {
    StoreSession before = attach(door);
    isolate(door);
    pass(1_200 * MS);
    Outcome held = send(before, Operation.WRITE, 0, 2);
    pass(10 * MS);
    before.leave();
    StoreSession after = new StoreSession(door, 1);
    network.heal();
    await(after::isAdmitted);
    assertWrites(after);
    assertThat(held.isKnown()).isFalse();
  }

  /** What has been begun is to be seen by whoever is admitted, also if it only reads. */
  @Test
  void whoIsAdmittedReadsWhatWasBegunBefore() {
    StoreSession before = attach(leader);
    long number = nextNumber;
    members().stream()
        .filter(node -> node != leader)
        .forEach(node -> network.slow(node.number, leader.number, 2 * MS, 0));
    Outcome write = send(before, Operation.WRITE, 0, 2);
    step();
    before.leave();
    StoreSession after = new StoreSession(door, 1);
    Outcome read = send(after, Operation.READ, 0, 2);
    await(read::isKnown);
    assertThat(read.values).containsOnly(number);
    assertThat(write.isKnown()).isTrue();
  }

  /** Holds the status of a command. */
  private static final class Done {
    Integer status;

    void set(int value) {
      status = value;
    }
  }

  private int command(Consumer<Done> begin) {
    Done done = new Done();
    begin.accept(done);
    await(() -> done.status != null);
    return done.status;
  }
}
