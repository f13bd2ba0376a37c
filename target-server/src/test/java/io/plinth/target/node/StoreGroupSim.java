package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.Replica;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Verifies;
import io.plinth.target.volume.VerifyReport;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumePlaces;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;

/**
 * Three nodes with real logs and volumes that all of them have replicas of, on simulated machines,
 * from one seed: requests of clients that look for the leader, snapshots, checkpoints and the
 * cleaner, while processes and machines die, cores sleep and networks break; then all faults stop.
 * Checked from outside:
 *
 * <ul>
 *   <li>G1: a read returns nothing older than what it must see, whoever leads;
 *   <li>G2: what was flushed is there after all machines have lost their power;
 *   <li>G3: what was acknowledged is there after any process, and a minority of machines, has died;
 *   <li>G4: of no request there is only a part;
 *   <li>G6: every node starts again;
 *   <li>in the end all nodes have the same volumes and snapshots, and still after all of them have
 *       been started anew.
 * </ul>
 */
final class StoreGroupSim {
  private static final long STEP_NS = 100_000;
  private static final long MS = 1_000_000;
  private static final int MAX_REQUESTS = 12;
  private static final int MAX_SNAPSHOTS = 3;
  private static final int ROTTEN = 4;
  private static final long BLOCKS = StoreNode.VOLUME_BYTES / Volume.BLOCK_BYTES;

  /** A run has found something that may not be. */
  static final class Violation extends AssertionError {
    private static final long serialVersionUID = 1L;

    Violation(String message) {
      super(message);
    }
  }

  private final long seed;
  private final SimRandom random;
  private final SimNetwork network;
  private final int volumes;
  private final List<StoreNode> nodes = new ArrayList<>();

  /** All that clients speak with: besides the nodes, where they are forwarded, one more. */
  private final List<StoreNode> doors = new ArrayList<>();

  private final boolean forwards;
  private final Map<Integer, StoreSession> sessions = new TreeMap<>();
  private long powerLostNs = -1;

  /** When whoever was up has lost power. */
  private long lossNs = -1;

  private final List<CellHistory> histories = new ArrayList<>();
  private final List<StoreRequest> requests = new ArrayList<>();
  private final NativeMemory memory = NativeMemory.reserve(1 << 20);
  private boolean calm;

  /** All machines have lost their power, and the groups have not recovered yet. */
  private boolean fragile;

  private long nextNumber = 1;
  private int nextSnapshot = 1;
  private String problem;

  // What a run did.
  int acknowledged;
  int reads;
  int refused;
  int unknown;
  int flushes;
  int snapshots;
  int powerCuts;
  long checkpoints;
  long cleaned;
  long resyncs;
  int wipes;
  int verifies;
  int rotten;
  long mended;

  StoreGroupSim(long seed, Set<PlantedBug> bugs) {
    this(seed, bugs, false, Set.of());
  }

  /**
   * Creates a run.
   *
   * @param forwards whether clients may ask any node for any volume, also one without replicas
   */
  StoreGroupSim(
      long seed, Set<PlantedBug> bugs, boolean forwards, Set<ForwardingBug> forwardingBugs) {
    this.seed = seed;
    this.forwards = forwards;
    random = new SimRandom(seed);
    network = new SimNetwork(random);
    volumes = 1 + random.nextInt(2);
    // From so few that the cleaner must work to so many that it need not.
    int segments = 32 + random.nextInt(24);
    int cells = (int) (StoreNode.VOLUME_BYTES / CellHistory.CELL_BYTES);
    for (int i = 0; i < volumes; i++) {
      histories.add(new CellHistory(cells));
    }
    for (int number = 1; number <= StoreNode.NODES; number++) {
      StoreNode node = new StoreNode(number, network, random, volumes, segments, bugs);
      node.residentBytes = random.oneIn(2) ? 2L * StoreNode.SEGMENT_BYTES : 1 << 30;
      // Taken from the seed itself, so that all else is as it would be without.
      node.indexBytes = seed % 3 == 0 ? (1 + seed % 5) * 4096 : 0;
      // Some keep so little that whoever was away for a moment lacks something.
      node.mostKept = seed % 3 == 0 ? 0 : (int) (5 + seed % 7 * 10);
      nodes.add(forwards ? node.forwards(true, forwardingBugs) : node);
    }
    doors.addAll(nodes);
    if (forwards) {
      int number = StoreNode.NODES + 1;
      StoreNode door = new StoreNode(number, network, random, volumes, 1, bugs);
      doors.add(door.forwards(false, forwardingBugs));
    }
    doors.forEach(this::start);
  }

  void free() {
    doors.forEach(StoreNode::free);
    memory.close();
  }

  private void start(StoreNode node) {
    try {
      node.slowSyncNs = random.oneIn(3) ? (int) (5 * MS) : 0;
      node.slowReadNs = random.oneIn(3) ? (int) (2 * MS) : 0;
      node.start();
    } catch (RecoveryException e) {
      throw violation("G6: node " + node.number + " does not start: " + e.getMessage());
    }
  }

  /** Runs with faults for a while, then without, and checks the end. */
  void run(long durationNs) {
    long end = network.nowNs() + durationNs;
    long nextTrouble = network.nowNs() + 100 * MS;
    while (network.nowNs() < end) {
      step();
      act();
      if (network.nowNs() >= nextTrouble) {
        trouble();
        nextTrouble = network.nowNs() + (5L + random.nextInt(100)) * MS;
      }
    }
    finish();
    nodes.stream().filter(StoreNode::isOpen).forEach(this::count);
  }

  private void step() {
    network.advance(STEP_NS);
    for (StoreNode node : doors) {
      // Clocks drift, by less than leases allow for.
      long drift = calm ? 0 : (random.nextInt(3) - 1) * STEP_NS / 20;
      node.cycle(STEP_NS + drift);
    }
    if (problem != null) {
      throw violation(problem);
    }
    for (StoreNode node : nodes) {
      if (node.isOpen()) {
        for (int group = 1; group <= volumes; group++) {
          boolean stopped = node.volume(group).group().isStopped();
          // When all have lost their power, one may be too slow to be heard before the most
          // complete of the other logs leads: its checkpoint may have what nobody else has.
          if (stopped && !fragile) {
            throw violation("volume " + group + " of node " + node.number + " has stopped");
          }
        }
      }
    }
    if (!calm && !fragile) {
      nodes.forEach(this::disturbSwitch);
    }
    requests.removeIf(this::isOver);
    if (fragile && nodes.stream().allMatch(StoreNode::isHealthy) && allLed()) {
      fragile = false;
    }
  }

  /** What a resync has brought is durable or has not happened, whenever the node dies. */
  private void disturbSwitch(StoreNode node) {
    if (node.isOpen() && node.store().resyncs().isSwitching() && random.oneIn(80)) {
      boolean others = nodes.stream().filter(peer -> peer != node).allMatch(StoreNode::isHealthy);
      if (others && random.oneIn(2)) {
        count(node);
        node.losePower();
        powerCuts++;
      } else {
        kill(node);
      }
    }
  }

  /** What a dead node was asked for may have had its effect, or get it later. */
  private boolean isOver(StoreRequest request) {
    boolean lost = !request.node.up || request.node.life != request.life;
    unknown += lost && !request.done ? 1 : 0;
    return request.done || lost;
  }

  private boolean runUntil(BooleanSupplier condition, long limitNs) {
    long end = network.nowNs() + limitNs;
    while (!condition.getAsBoolean()) {
      if (network.nowNs() >= end) {
        return false;
      }
      step();
    }
    return true;
  }

  private StoreNode leader(int group) {
    StoreNode best = null;
    long bestTerm = -1;
    for (StoreNode node : nodes) {
      if (node.isOpen() && node.volume(group).group().leads()) {
        long term = node.volume(group).group().replica().term();
        if (term > bestTerm) {
          best = node;
          bestTerm = term;
        }
      }
    }
    return best;
  }

  private boolean allLed() {
    for (int group = 1; group <= volumes; group++) {
      if (leader(group) == null) {
        return false;
      }
    }
    return true;
  }

  // Clients.

  private void act() {
    int group = 1 + random.nextInt(volumes);
    if (random.oneIn(4)) {
      request(group);
    }
    if (random.oneIn(400)) {
      snapshot(group);
    }
    if (seed % 2 == 0 && network.nowNs() / STEP_NS % 300 == 0) {
      verifySome(group);
    }
    if (random.oneIn(500)) {
      StoreNode node = nodes.get(random.nextInt(nodes.size()));
      if (node.isOpen() && !node.isPaused()) {
        node.store().checkpointer().request(status -> {});
      }
    }
  }

  /** Asks whoever leads, or thinks so, or sometimes anybody. */
  private StoreNode pick(int group) {
    List<StoreNode> candidates = new ArrayList<>();
    for (StoreNode node : doors) {
      if (node.isOpen() && (forwards || node.volume(group).group().leads() || random.oneIn(20))) {
        candidates.add(node);
      }
    }
    return candidates.isEmpty() ? null : candidates.get(random.nextInt(candidates.size()));
  }

  private void request(int group) {
    StoreNode node = pick(group);
    if (node == null) {
      return;
    }
    long waiting = requests.stream().filter(request -> request.node.equals(node)).count();
    // What lies at a sleeper is to be younger than what others do meanwhile.
    if (waiting >= MAX_REQUESTS || (node.isPaused() && !random.oneIn(40))) {
      return;
    }
    int all = histories.get(group - 1).size();
    int most = random.oneIn(30) ? 120 : 10;
    int cells = 1 + random.nextInt(most);
    // Some blocks are asked for again and again.
    int first = random.nextInt((random.oneIn(2) ? 40 : all - cells));
    switch (random.nextInt(12)) {
      case 0 -> change(node, group, Operation.WRITE_ZEROES, first, cells);
      case 1 -> change(node, group, Operation.TRIM, first & -2, (cells + 1) & -2);
      case 2, 3, 4 -> send(node, group, Operation.READ, first, cells, null);
      case 5 -> {
        if (random.oneIn(4)) {
          send(node, group, Operation.FLUSH, 0, 0, null);
        }
      }
      default -> change(node, group, Operation.WRITE, first, cells);
    }
  }

  private void change(StoreNode node, int group, Operation operation, int first, int cells) {
    CellHistory history = histories.get(group - 1);
    int count = Math.min(cells, history.size() - first);
    boolean zeroes = operation != Operation.WRITE;
    CellHistory.Change change = history.begin(nextNumber++, zeroes, first, count, network.nowNs());
    send(node, group, operation, first, count, change);
  }

  private void send(
      StoreNode node,
      int group,
      Operation operation,
      int first,
      int cells,
      CellHistory.Change change) {
    StoreRequest request =
        new StoreRequest(
            node, group, operation, first, cells, change, network.nowNs(), memory, this::onEnd);
    request.fua = change != null && random.oneIn(10);
    request.noHole = operation == Operation.WRITE_ZEROES && random.oneIn(2);
    if (forwards) {
      request.session = session(node, group);
    }
    requests.add(request);
    request.send();
  }

  private StoreSession session(StoreNode node, int group) {
    int key = node.number * 10 + group;
    StoreSession session = sessions.get(key);
    if (session == null || session.isOver()) {
      session = new StoreSession(node, group);
      StoreSession _ = sessions.put(key, session);
    }
    return session;
  }

  private void onEnd(StoreRequest request, int status) {
    long nowNs = network.nowNs();
    if (forwards) {
      StoreSession session = request.session;
      if (status == Status.ESTALE) {
        session.close();
      }
      boolean durable = request.change != null && isDurable(request);
      if (session.isOver() || (request.beginNs <= lossNs && !durable)) {
        // Its client does not hear how it has ended; or an answer has come over the network from
        // somebody who has lost his memory meanwhile, and what it promises with it.
        request.data.releaseAll();
        unknown++;
        return;
      }
      if (status == Status.OK && session.servedNs < 0) {
        session.servedNs = nowNs;
      }
      boolean before = session.servedNs >= 0 && session.servedNs < powerLostNs;
      if (status == Status.OK && before && request.beginNs > powerLostNs) {
        problem = "G7: a client from before all power was lost is served still";
      }
    }
    CellHistory history = histories.get(request.group - 1);
    if (status == Status.OK) {
      switch (request.operation) {
        case READ -> {
          reads++;
          long[] values = request.takeValues();
          for (int i = 0; i < values.length && problem == null; i++) {
            String wrong = history.read(request.firstCell() + i, values[i], request.beginNs, nowNs);
            if (wrong != null) {
              problem = "G1: read of node " + request.node.number + " from " + wrong;
            }
          }
        }
        case FLUSH -> {
          flushes++;
          history.flushed(request.beginNs);
        }
        default -> {
          acknowledged++;
          history.acknowledge(request.change, isDurable(request), nowNs);
        }
      }
    } else if ((status == Status.EREMOTE && !forwards) || status == Status.ENOSPC) {
      refused++;
      if (request.change != null) {
        history.refuse(request.change);
      }
      if (status == Status.ENOSPC) {
        problem = "G8: " + request.operation + " failed with ENOSPC";
      }
    } else if (status == Status.ESTALE && request.operation != Operation.READ) {
      unknown++;
    } else {
      problem = request.operation + " failed with " + Status.name(status);
    }
  }

  private static boolean isDurable(StoreRequest request) {
    return request.fua || request.group == 2;
  }

  private void snapshot(int group) {
    StoreNode node = leader(group);
    if (node == null || node.isPaused()) {
      return;
    }
    LogVolume volume = node.volume(group);
    List<SnapshotVolume> known = volume.snapshots();
    if (known.size() >= MAX_SNAPSHOTS || (!known.isEmpty() && random.oneIn(3))) {
      String name = known.get(random.nextInt(known.size())).snapshotName();
      node.store().deleteSnapshot(volume, name, () -> true, status -> {});
    } else {
      node.store().snapshot(volume, "s" + nextSnapshot++, () -> true, status -> snapshots++);
    }
  }

  // Faults.

  private void trouble() {
    if (fragile) {
      nodes.stream().filter(node -> !node.up).forEach(this::start);
      return;
    }
    if (forwards && random.oneIn(10)) {
      troubleAtDoor();
    }
    StoreNode node = nodes.get(random.nextInt(nodes.size()));
    StoreNode other = doors.get(random.nextInt(doors.size()));
    switch (random.nextInt(16)) {
      case 0 -> network.block(node.number, other.number);
      case 1 -> {
        StoreNode leader = leader(1 + random.nextInt(volumes));
        isolate(leader == null || random.oneIn(2) ? node : leader);
      }
      case 2, 3, 14 -> network.heal();
      case 4 -> network.slow(node.number, other.number, random.nextInt(10) * MS, 100);
      case 5 -> network.lose(random.oneIn(2) ? 0 : 200);
      case 6 -> network.late(random.oneIn(2) ? 0 : 20, (int) (5 * MS));
      case 7, 8 -> kill(node);
      case 9 -> {
        // A majority keeps what it has in memory.
        boolean others = nodes.stream().filter(peer -> peer != node).allMatch(StoreNode::isHealthy);
        if (node.up && others) {
          node.losePower();
          powerCuts++;
        }
      }
      case 10 -> {
        if (random.oneIn(3)) {
          losePower();
        } else if (random.oneIn(2)) {
          nodes.forEach(this::kill);
        }
      }
      case 11 -> {
        // Who leads is asked by its clients while it sleeps.
        StoreNode leader = leader(1 + random.nextInt(volumes));
        (leader == null ? node : leader).pause((5L + random.nextInt(120)) * MS);
      }
      case 12 -> {
        int group = 1 + random.nextInt(volumes);
        StoreNode leader = leader(group);
        if (leader != null && !leader.isPaused()) {
          int target = Math.min(other.number, StoreNode.NODES);
          boolean _ = leader.volume(group).group().replica().transferLeadership(target);
        }
      }
      case 15 -> {
        // Others have it all.
        boolean others = nodes.stream().filter(peer -> peer != node).allMatch(StoreNode::isHealthy);
        if (others && random.oneIn(2)) {
          kill(node);
          node.wipe();
          wipes++;
        }
      }
      default -> network.reset(node.number, other.number);
    }
    for (StoreNode down : nodes) {
      if (!down.up && random.oneIn(2)) {
        start(down);
      }
    }
  }

  /** Trouble for the node without replicas. */
  private void troubleAtDoor() {
    StoreNode door = doors.get(StoreNode.NODES);
    if (!door.up) {
      start(door);
    } else if (random.oneIn(3)) {
      door.kill();
    } else {
      door.pause((5L + random.nextInt(120)) * MS);
    }
  }

  private void isolate(StoreNode node) {
    for (StoreNode peer : doors) {
      network.block(node.number, peer.number);
      network.block(peer.number, node.number);
    }
  }

  private void kill(StoreNode node) {
    if (node.up) {
      count(node);
      node.kill();
    }
  }

  private void count(StoreNode node) {
    if (node.isOpen()) {
      checkpoints += node.store().checkpointer().completed();
      cleaned += node.store().cleaner().cleanedSegments();
      resyncs += node.store().resyncs().completed();
    }
  }

  /** All machines at once: of what was not flushed some may be lost. */
  private void losePower() {
    lossNs = network.nowNs();
    if (nodes.stream().allMatch(node -> node.up)) {
      // What lies in the memory of a machine whose process is down is not lost here.
      powerLostNs = network.nowNs();
    }
    for (StoreNode node : nodes) {
      if (node.up) {
        count(node);
        node.losePower();
        powerCuts++;
      }
    }
    histories.forEach(CellHistory::powerLost);
    requests.removeIf(this::isOver);
    // Who can't be reached while the most complete log is looked for may have it.
    network.heal();
    network.lose(0);
    network.late(0, 0);
    fragile = true;
    nodes.forEach(this::start);
  }

  // The end.

  private void calmDown() {
    calm = true;
    network.heal();
    network.lose(0);
    network.late(0, 0);
    for (StoreNode node : doors) {
      node.pause(0);
      if (!node.up) {
        start(node);
      }
    }
    // A leader that was cut off hears only now that there is another one, or that there will be.
    long decided = network.nowNs() + 1_000 * MS;
    boolean _ = runUntil(() -> network.nowNs() >= decided, 2_000 * MS);
    if (!runUntil(() -> requests.isEmpty() && allLed(), 5_000 * MS)) {
      throw violation("the group does not recover: " + describe());
    }
  }

  private void finish() {
    calmDown();
    awaitEqual();
    checkContent();
    compare("in the end");
    rot();
    nodes.forEach(this::kill);
    nodes.forEach(this::start);
    awaitEqual();
    checkContent();
    compare("after a new start");
    for (int group = 1; group <= volumes; group++) {
      StoreNode leader = leader(group);
      send(leader, group, Operation.FLUSH, 0, 0, null);
    }
    if (!runUntil(requests::isEmpty, 5_000 * MS)) {
      throw violation("a flush is not answered: " + describe());
    }
    losePower();
    awaitEqual();
    checkContent();
    compare("after all have lost their power");
  }

  /**
   * Blocks of one node rot while clients write: no read fails, and in the end nothing is damaged.
   */
  private void rot() {
    StoreNode victim = random.oneIn(2) ? leader(1) : nodes.get(random.nextInt(nodes.size()));
    // What is replayed or kept for others is not read through the index.
    checkpoint(victim);
    for (int group = 1; group <= volumes; group++) {
      for (int i = 0; i < ROTTEN; i++) {
        rot(victim, victim.volume(group), random.nextInt((int) BLOCKS));
      }
    }
    long end = network.nowNs() + 50 * MS;
    while (network.nowNs() < end) {
      step();
      int group = 1 + random.nextInt(volumes);
      if (random.oneIn(3)) {
        request(group);
      }
    }
    awaitEqual();
    checkContent();
    for (StoreNode node : nodes) {
      node.store().scrubber().configure(new Scrubber.Settings(1 << 30, 0));
      if (!node.store().scrubber().start()
          || !runUntil(() -> !node.store().scrubber().progress().running(), 20_000 * MS)) {
        throw violation("a scrub does not end");
      }
      Scrubber.Pass pass = node.store().scrubber().progress().last();
      if (!pass.complete() || pass.damagedBlocks() > 0) {
        throw violation("node " + node.number + " is damaged still: " + pass);
      }
      mended += node.store().mends().mendedBlocks();
      corruptReads(node);
    }
    compare("after rot");
    checkpoint(victim);
  }

  private void corruptReads(StoreNode node) {
    for (int group = 1; group <= volumes; group++) {
      if (node.volume(group).corruptReads() > 0) {
        throw violation("G5: a read has failed on node " + node.number);
      }
    }
  }

  private void checkpoint(StoreNode node) {
    int[] result = {1};
    node.store().checkpointer().request(status -> result[0] = status);
    if (!runUntil(() -> result[0] != 1, 10_000 * MS) || result[0] != Status.OK) {
      throw violation("no checkpoint can be made: " + result[0] + describe());
    }
  }

  private void rot(StoreNode node, LogVolume volume, int block) {
    long place = VolumePlaces.place(volume, block);
    int perSegment = StoreNode.SEGMENT_BYTES / Volume.BLOCK_BYTES;
    int slot = (int) (place / perSegment);
    int offset = (int) (place % perSegment) * Volume.BLOCK_BYTES;
    if (place > 0 && node.disk.isSettled(slot, offset)) {
      node.disk.rotBit(slot, offset + random.nextInt(Volume.BLOCK_BYTES), random.nextInt(8));
      rotten++;
    }
  }

  private void awaitEqual() {
    if (!runUntil(this::allAgree, 10_000 * MS)) {
      throw violation("the nodes do not become equal: " + describe());
    }
  }

  private boolean allAgree() {
    for (int group = 1; group <= volumes; group++) {
      StoreNode leader = leader(group);
      if (leader == null) {
        return false;
      }
      long last = leader.volume(group).group().replica().lastIndex();
      for (StoreNode node : nodes) {
        if (!node.isHealthy()
            || node.volume(group).group().appliedIndex() != last
            || node.volume(group).group().replica().lastIndex() != last) {
          return false;
        }
      }
    }
    return requests.isEmpty();
  }

  /** Reads all of each volume as a client does. */
  private void checkContent() {
    for (int group = 1; group <= volumes; group++) {
      StoreNode leader = leader(group);
      long[] values = read(leader, group, leader.volume(group));
      String wrong = histories.get(group - 1).readAll(values, network.nowNs());
      if (wrong != null) {
        throw violation("G2, G3 or G4: volume " + group + " in the end: " + wrong);
      }
      for (StoreNode door : forwards ? doors : List.<StoreNode>of()) {
        if (!Arrays.equals(values, read(door, group, door.export(group)))) {
          throw violation("volume " + group + " reads differently through node " + door.number);
        }
      }
    }
    for (StoreNode door : forwards ? doors : List.<StoreNode>of()) {
      if (!door.forwarding().client.isIdle()) {
        throw violation("node " + door.number + " keeps memory of requests that have ended");
      }
    }
  }

  // Comparisons by the nodes themselves.

  /** Looks at a comparison that is under way while clients write, or begins one. */
  private void verifySome(int group) {
    StoreNode leader = leader(group);
    if (leader == null || leader.isPaused()) {
      return;
    }
    VerifyReport report = leader.store().verifies().report(leader.volume(group));
    if (report != null && report.state() == VerifyReport.State.DIFFERENT && !fragile) {
      throw violation("verify of volume " + group + " while clients write: " + report);
    }
    if (report == null || report.state() != VerifyReport.State.RUNNING) {
      verifies += report != null && report.state() == VerifyReport.State.EQUAL ? 1 : 0;
      leader.store().verifies().start(leader.volume(group));
    }
  }

  /** Lets the nodes compare their replicas themselves, and asks whether they have it right. */
  private void compare(String when) {
    StringBuilder said = new StringBuilder();
    for (int group = 1; group <= volumes; group++) {
      VerifyReport report = verify(group);
      if (report.state() == VerifyReport.State.EQUAL) {
        verifies++;
      } else {
        said.append("volume ").append(group).append(": ").append(report);
      }
    }
    try {
      compareContent(when);
    } catch (Violation e) {
      throw new Violation(
          e.getMessage()
              + (said.isEmpty() ? "; but verify said: equal" : "; verify said: " + said));
    }
    if (!said.isEmpty()) {
      throw violation("verify said " + when + ", although all is equal: " + said);
    }
  }

  private VerifyReport verify(int group) {
    VerifyReport[] report = new VerifyReport[1];
    // One that is at work, or has ended with the lead, says nothing of now.
    for (int attempt = 0; attempt < 20; attempt++) {
      StoreNode leader = leader(group);
      Verifies verify = leader.store().verifies();
      verify.start(leader.volume(group));
      boolean ended =
          runUntil(
              () -> {
                report[0] = verify.report(leader.volume(group));
                return report[0].state() != VerifyReport.State.RUNNING;
              },
              60_000 * MS);
      if (!ended) {
        throw violation("a verify does not end: " + report[0] + describe());
      }
      if (attempt > 0
          && report[0].state() != VerifyReport.State.FAILED
          && report[0].state() != VerifyReport.State.INCOMPLETE) {
        break;
      }
    }
    awaitEqual();
    return report[0];
  }

  /** Lets every node tell what it has, through a snapshot, which any of them may be asked for. */
  private void compareContent(String when) {
    for (int group = 1; group <= volumes; group++) {
      StoreNode leader = leader(group);
      String name = "end" + nextSnapshot++;
      int[] result = {1};
      leader.store().snapshot(leader.volume(group), name, () -> true, status -> result[0] = status);
      if (!runUntil(() -> result[0] != 1, 5_000 * MS) || result[0] != Status.OK) {
        throw violation("no snapshot can be taken: " + result[0] + describe());
      }
      awaitEqual();
      Map<String, long[]> expected = content(leader, group);
      for (StoreNode node : nodes) {
        Map<String, long[]> found = content(node, group);
        if (!found.keySet().equals(expected.keySet())) {
          throw violation(
              "node "
                  + node.number
                  + " has snapshots "
                  + found.keySet()
                  + " "
                  + when
                  + ", node "
                  + leader.number
                  + " "
                  + expected.keySet());
        }
        found.forEach((snapshot, values) -> {
          int different = Arrays.mismatch(values, expected.get(snapshot));
          if (different >= 0) {
            throw violation(
                "cell "
                    + different
                    + " of snapshot "
                    + snapshot
                    + " is "
                    + values[different]
                    + " on node "
                    + node.number
                    + " "
                    + when
                    + ", on node "
                    + leader.number
                    + " "
                    + expected.get(snapshot)[different]);
          }
        });
      }
    }
  }

  private Map<String, long[]> content(StoreNode node, int group) {
    TreeMap<String, long[]> content = new TreeMap<>();
    for (SnapshotVolume snapshot : node.volume(group).snapshots()) {
      content.put(snapshot.snapshotName(), read(node, group, snapshot));
    }
    return content;
  }

  private long[] read(StoreNode node, int group, Volume volume) {
    long[] values = tryRead(node, group, volume);
    // Whoever is told that a new epoch has begun asks again.
    return values == null ? tryRead(node, group, volume) : values;
  }

  private long[] tryRead(StoreNode node, int group, Volume volume) {
    int cells = histories.get(group - 1).size();
    long[][] values = new long[1][];
    String[] failure = new String[1];
    StoreRequest request =
        new StoreRequest(
            node,
            group,
            Operation.READ,
            0,
            cells,
            null,
            network.nowNs(),
            memory,
            (done, status) -> {
              if (status == Status.OK) {
                values[0] = done.takeValues();
              } else {
                failure[0] = Status.name(status);
              }
            });
    boolean _ = node.core.execute(() -> request.submitTo(volume));
    boolean ended = runUntil(() -> request.done, 5_000 * MS);
    if (forwards && "ESTALE".equals(failure[0])) {
      return null;
    }
    if (!ended || values[0] == null) {
      throw violation(
          "G5: node " + node.number + " can't be read: " + volume.name() + " " + failure[0]);
    }
    return values[0];
  }

  private String describe() {
    StringBuilder text = new StringBuilder();
    for (StoreNode node : nodes) {
      text.append("\n  node ").append(node.number).append(node.isOpen() ? "" : " is not open");
      for (int group = 1; node.isOpen() && group <= volumes; group++) {
        Replica replica = node.volume(group).group().replica();
        text.append(", v")
            .append(group)
            .append(' ')
            .append(replica.role())
            .append(" term ")
            .append(replica.term())
            .append(" last ")
            .append(replica.lastIndex())
            .append(" committed ")
            .append(replica.committedIndex())
            .append(" applied ")
            .append(node.volume(group).group().appliedIndex())
            .append(replica.isRunning() ? "" : " not running")
            .append(replica.isRecovering() ? " recovering" : "");
      }
      if (node.isOpen()) {
        text.append(", resyncs ").append(node.store().resyncsNeeded());
        text.append(", available ").append(node.store().journal().availableSegments());
      }
    }
    text.append("\n  requests on their way: ").append(requests.size());
    return text.toString();
  }

  private Violation violation(String what) {
    return new Violation("seed " + seed + " at " + network.nowNs() / MS + " ms: " + what);
  }
}
