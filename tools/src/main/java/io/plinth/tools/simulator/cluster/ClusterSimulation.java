package io.plinth.tools.simulator.cluster;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.tools.simulator.check.Digest;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.cluster.ClusterVolume.Presence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * A seeded run of a cluster of whole nodes: clients and administrators of any node, and faults;
 * then all faults stop, and the nodes must become equal, have what was acknowledged, and still
 * after all of them have been started anew. One thread; equal seeds and steps give equal runs.
 */
public final class ClusterSimulation {
  /** Simulated time between two looks at the nodes; connections take 20 to 200 us. */
  private static final long CYCLE_NS = 200_000;

  private static final long MS = 1_000_000;
  private static final int MAX_CYCLES_PER_STEP = 6;

  /** Clocks drift by less than leases allow for: one part in so many. */
  private static final int DRIFT_PART = 20;

  private static final long START_LIMIT_NS = 5_000 * MS;

  /** Longer than any request or command may take that nothing disturbs. */
  private static final long CALM_LIMIT_NS = 30_000 * MS;

  private static final long SETTLED_NS = 20 * MS;

  /** When a node that is not heard is given up, and how often is looked. */
  private static final long REBUILD_NS = 60 * MS;

  private static final long LOOK_NS = 5 * MS;

  /** Of the runs in which nodes are drained, in one of so many the last node joins later. */
  private static final int JOIN_PART = 4;

  /** At most so many steps before it does. */
  private static final int MAX_STEPS_BEFORE = 500;

  /** Between two looks at the voters of all groups. */
  private static final int CYCLES_PER_CHECK = 8;

  /** How often all volumes are written to while the disk of one node is full. */
  private static final int FULL_ROUNDS = 20;

  /** So many times is a snapshot asked for that is to be compared. */
  private static final int MAX_TRIES = 20;

  /**
   * What a run did.
   *
   * @param operations requests that were answered
   * @param faults how often each fault happened
   * @param commands how many commands of administrators were done
   * @param joins how often a node became a member
   * @param resyncs how many replicas were brought up to date beside their log
   * @param moved how many times replicas were moved, of volumes that are there in the end
   * @param digest of what the nodes hold at the end, and of when that was
   */
  public record Result(
      long operations,
      Map<String, Long> faults,
      long commands,
      long joins,
      long resyncs,
      long moved,
      long digest) {}

  private final SimRandom random;
  private final SimNetwork network;
  private final Consumer<String> events;
  private final LongAdder stepCount;
  private final ClusterAtlas atlas;
  private final List<ClusterNode> nodes = new ArrayList<>();
  private final ClusterCommands commands;
  private final ClusterClients clients;
  private final ClusterCheck check;
  private final ClusterDamage damage;
  private final ClusterFaults faults;
  private final Digest contents = new Digest();
  private final boolean moves;

  /** The node that joins later, until it is admitted; else null. */
  private ClusterNode joiner;

  private ClusterMap.Member joining;
  private int stepsBefore;
  private boolean calm;
  private int compared;
  private long moved;
  private long cycles;

  /**
   * Creates a run.
   *
   * @param nodeCount how many nodes there are, 3 to 5: four have two logs each, the others one.
   *     With more than three, and if no disks are replaced, nodes are drained and given up, and for
   *     seeds that are a multiple of four the last one joins the cluster of the others
   * @param trace is told what happens, a line for each event; null for silence
   * @param stepCount counts the steps as they are done
   */
  public ClusterSimulation(
      int nodeCount,
      long seed,
      Set<PlantedBug> bugs,
      ClusterBugs clusterBugs,
      Consumer<String> trace,
      LongAdder stepCount) {
    this.random = new SimRandom(seed);
    this.network = new SimNetwork(random);
    this.events = trace;
    this.stepCount = stepCount;
    this.atlas = ClusterAtlas.choose(random);
    boolean wipes = atlas.has(ClusterFault.WIPE);
    int few = random.oneIn(2) ? 40 : 64;
    List<ClusterMap.Member> members = members(nodeCount);
    moves = nodeCount > 3 && !wipes;
    boolean joins = moves && seed % JOIN_PART == 0;
    long rebuildNs = moves && random.oneIn(2) ? REBUILD_NS : 100 * REBUILD_NS;
    KeeperSettings keeper =
        moves ? new KeeperSettings(REBUILD_NS / 2, rebuildNs, LOOK_NS) : KeeperSettings.DEFAULT;
    ClusterSettings settings =
        new ClusterSettings(
            network,
            random,
            members,
            nodeCount == 4 ? 2 : 1,
            wipes ? 400 : few,
            bugs,
            clusterBugs,
            keeper,
            joins ? nodeCount : 0,
            moves);
    for (int number = 1; number <= nodeCount; number++) {
      ClusterNode node = new ClusterNode(number, settings);
      node.residentBytes = random.oneIn(2) ? 2L * ClusterNode.SEGMENT_BYTES : 1 << 30;
      node.indexBytes = random.oneIn(3) ? (1 + random.nextInt(5)) * 4096L : 0;
      nodes.add(node);
    }
    if (joins) {
      joiner = nodes.removeLast();
      joining = members.getLast();
      stepsBefore = random.nextInt(MAX_STEPS_BEFORE);
    }
    int[] replicas = nodeCount < 5 ? new int[] {3, 3, 3, 1} : new int[] {3, 3, 3, 5, 1};
    int[] safe = Arrays.copyOf(replicas, replicas.length - 1);
    commands = new ClusterCommands(random, nodes, this::note, wipes ? safe : replicas);
    clients = new ClusterClients(random, network, nodes, this::note);
    check = new ClusterCheck(nodes, commands, members, settings.first().size());
    damage = new ClusterDamage(random, nodes, commands);
    faults = new ClusterFaults(random, network, nodes, commands, check, damage, atlas, this::note);
    clients.beforeErrors(faults::note);
  }

  private static List<ClusterMap.Member> members(int count) {
    List<ClusterMap.Member> members = new ArrayList<>();
    for (int number = 1; number <= count; number++) {
      // Of five nodes, two and two fail together.
      String rack = count < 5 ? "" : "rack " + (number + 1) / 2;
      members.add(
          new ClusterMap.Member(
              number, "node-" + number, 10830, "node-" + number + ":10810", rack));
    }
    return members;
  }

  /**
   * Runs.
   *
   * @throws Violation when the cluster breaks a promise
   */
  public Result run(int steps) {
    note("faults: " + atlas);
    try {
      begin();
      for (int i = 0; i < steps; i++) {
        if (joiner != null && i >= stepsBefore) {
          join();
        }
        act();
        for (int j = random.nextInt(MAX_CYCLES_PER_STEP); j >= 0; j--) {
          cycle();
        }
        stepCount.increment();
      }
      end();
    } finally {
      nodes.forEach(ClusterNode::free);
      if (joiner != null) {
        joiner.free();
      }
      clients.free();
    }
    return result();
  }

  private Result result() {
    Map<String, Long> counts = new TreeMap<>();
    faults.counts().forEach((fault, count) -> counts.put(fault.label(), count));
    long joins = 0;
    long resyncs = 0;
    for (ClusterNode node : nodes) {
      joins += node.joins;
      resyncs += node.resyncs;
    }
    Digest digest = new Digest();
    digest.accept(cycles);
    digest.accept(clients.answered());
    digest.accept(clients.unknown());
    digest.accept(commands.asked());
    digest.accept(commands.done());
    digest.accept(network.transmittedBytes());
    digest.accept(contents.value());
    return new Result(
        clients.answered(), counts, commands.done(), joins, resyncs, moved, digest.value());
  }

  /** A new cluster: all nodes have empty disks. */
  private void begin() {
    nodes.forEach(faults::start);
    await(
        "the new nodes become no members",
        START_LIMIT_NS,
        () -> nodes.stream().allMatch(ClusterNode::isHealthy));
    do {
      commands.create();
      await("the first volume is not created", START_LIMIT_NS, commands::isIdle);
    } while (commands.usable().isEmpty());
  }

  /** The last node is admitted, which may take several tries, and then is one of them. */
  private void join() {
    if (!commands.hasAdmitted()) {
      commands.admit(joining);
      return;
    }
    nodes.add(joiner);
    faults.start(joiner);
    joiner = null;
  }

  private void act() {
    int choice = random.nextInt(1000);
    if (choice < 40) {
      faults.act();
    } else if (choice < 75) {
      commands.act();
    } else if (moves && choice >= 990) {
      if (choice < 996) {
        commands.actOnNodes();
      } else if (faults.leaveAlone(REBUILD_NS + random.nextInt(3) * REBUILD_NS)) {
        // Most of the time until it comes back nothing else happens.
        commands.actOnNodes();
      }
    } else if (choice < 77) {
      ClusterNode node = nodes.get(random.nextInt(nodes.size()));
      if (node.isOpen() && !node.isPaused()) {
        node.node().store(0).checkpointer().request(status -> {});
      }
    } else {
      clients.act(commands.usable());
    }
  }

  private void cycle() {
    cycles++;
    network.advance(CYCLE_NS);
    for (ClusterNode node : nodes) {
      long drift = calm ? 0 : (random.nextInt(3) - 1) * CYCLE_NS / DRIFT_PART;
      node.cycle(CYCLE_NS + drift);
      if (node.isDraining() && clients.isIdle(node)) {
        node.drained();
      }
    }
    faults.note();
    clients.check();
    if (moves && cycles % CYCLES_PER_CHECK == 0 && !faults.isFragile()) {
      check.requireVoters();
    }
    commands.forgetLost();
    commands.check();
    for (ClusterNode node : nodes) {
      // When all have lost their power, who was too slow to be heard before the most complete of
      // the other logs led may have what nobody else has.
      LogVolume stopped = node.stoppedVolume();
      if (stopped != null && !faults.isFragile()) {
        throw new Violation(
            Guarantee.PROGRESS,
            "the replica of " + stopped.name() + " on node " + node.number + " has stopped");
      }
    }
  }

  private void await(String otherwise, long limitNs, BooleanSupplier condition) {
    long end = network.nowNs() + limitNs;
    while (!condition.getAsBoolean()) {
      if (network.nowNs() >= end) {
        throw new Violation(Guarantee.PROGRESS, otherwise + ": " + describe());
      }
      cycle();
    }
  }

  private String describe() {
    StringBuilder text = new StringBuilder();
    text.append(check.difference());
    nodes.forEach(node -> text.append("; ").append(node.describe()));
    text.append("; requests ").append(clients.isIdle() ? "none" : "on their way");
    return text.append("; commands ").append(commands.describe()).toString();
  }

  // The end.

  private void end() {
    calm = true;
    note("no more faults");
    faults.end();
    nodes.forEach(node -> node.absentUntil(0));
    nodes.forEach(node -> node.pause(0));
    if (joiner != null) {
      await(
          "the last node is not admitted",
          CALM_LIMIT_NS,
          () -> {
            nodes.stream().filter(node -> !node.isUp()).forEach(faults::start);
            commands.admit(joining);
            return commands.hasAdmitted();
          });
      join();
    }
    await("there is no room", CALM_LIMIT_NS, () -> !faults.mayBeUnaware());
    if (atlas.has(ClusterFault.FULL_DISK) && random.oneIn(3)) {
      oneIsFull();
    }
    settle();
    judge("in the end");
    damage.beginScrubs();
    await("a scrub does not end", CALM_LIMIT_NS, damage::haveScrubsEnded);
    damage.requireMended("in the end");
    judge("after scrubs");
    switch (random.nextInt(3)) {
      case 0 -> nodes.forEach(ClusterNode::kill);
      case 1 -> nodes.forEach(ClusterNode::stop);
      default -> {
        flushAll();
        // What is done is durable, and nothing else makes it so.
        commands.act();
        await("a command is not answered", CALM_LIMIT_NS, commands::isIdle);
        faults.cutAll();
      }
    }
    settle();
    judge("after a new start");
    moved = check.moves();
  }

  /**
   * Waits until all nodes are well and equal, nothing is on its way, and it stays so: a leader that
   * was elected just now has committed nothing yet of what others have left to it.
   */
  private void settle() {
    long[] sinceNs = {-1};
    await(
        "the nodes do not become equal",
        CALM_LIMIT_NS,
        () -> {
          nodes.stream().filter(ClusterNode::hasFailedLog).forEach(ClusterNode::kill);
          nodes.stream().filter(node -> !node.isUp()).forEach(faults::start);
          boolean settled = clients.isIdle() && commands.isIdle() && check.difference() == null;
          sinceNs[0] = !settled ? -1 : sinceNs[0] < 0 ? network.nowNs() : sinceNs[0];
          return settled && network.nowNs() - sinceNs[0] >= SETTLED_NS;
        });
  }

  /** The disk of one node is full, and all others go on: G8, G9. */
  private void oneIsFull() {
    ClusterNode full = nodes.get(random.nextInt(nodes.size()));
    note("only the disk of node " + full.number + " is full");
    await(
        "a majority does not go on beside a full disk",
        CALM_LIMIT_NS,
        () -> {
          nodes.stream().filter(ClusterNode::hasFailedLog).forEach(ClusterNode::kill);
          nodes.stream().filter(node -> !node.isUp()).forEach(faults::start);
          if (nodes.stream().allMatch(ClusterNode::isMember) && !full.isLimited()) {
            full.limitDisks(0);
          }
          commands.usable().forEach(check::lookFor);
          return full.isLimited()
              && clients.isIdle()
              && nodes.stream().allMatch(node -> node == full || node.isHealthy())
              && commands.usable().stream()
                  .allMatch(volume -> volume.replicas == 1 || check.leaderOf(volume) != null);
        });
    for (int i = 0; i < FULL_ROUNDS; i++) {
      for (ClusterVolume volume : commands.usable()) {
        clients.write(nodes.get(random.nextInt(nodes.size())), volume);
      }
      await("a request is not answered beside a full disk", CALM_LIMIT_NS, clients::isIdle);
    }
    faults.giveRoom();
    await("there is no room", CALM_LIMIT_NS, () -> !faults.mayBeUnaware());
  }

  private void flushAll() {
    for (ClusterVolume volume : commands.usable()) {
      ClusterNode node = nodes.get(random.nextInt(nodes.size()));
      boolean _ = clients.flush(node, volume);
    }
    await("a flush is not answered", CALM_LIMIT_NS, clients::isIdle);
  }

  private void judge(String when) {
    check.judge(when);
    for (ClusterVolume volume : commands.volumes()) {
      if (volume.presence == Presence.CERTAIN) {
        checkContent(volume, when);
        compare(volume, when);
      }
    }
    check.judge(when);
  }

  /** Reads all of a volume as clients of all nodes do. */
  private void checkContent(ClusterVolume volume, String when) {
    long[] first = null;
    for (ClusterNode node : nodes) {
      long[] values = read(node, volume, node.node().find(volume.name));
      String wrong = first == null ? volume.history.readAll(values, network.nowNs()) : null;
      if (wrong != null) {
        throw new Violation(
            volume.isAlwaysDurable() ? Guarantee.G2 : Guarantee.G3,
            "volume " + volume.name + " " + when + ": " + wrong);
      }
      // Nodes without a replica tell the size that a volume was created with.
      if (first != null
          && !Arrays.equals(first, 0, ClusterVolume.CELLS, values, 0, ClusterVolume.CELLS)) {
        throw new Violation(
            Guarantee.G1,
            "volume " + volume.name + " reads differently through node " + node.number);
      }
      first = values;
    }
  }

  /**
   * Lets every replica tell what it has, through a snapshot, which any of them may be asked for.
   */
  private void compare(ClusterVolume volume, String when) {
    String name;
    int tries = 0;
    do {
      if (tries++ == MAX_TRIES) {
        throw new Violation(Guarantee.PROGRESS, "no snapshot can be taken: " + describe());
      }
      name = "end" + compared++;
      commands.snapshot(volume, name);
      await("a snapshot is not taken", CALM_LIMIT_NS, commands::isIdle);
    } while (volume.snapshots.get(name) != Presence.CERTAIN);
    settle();
    long[][] first = null;
    for (int owner : volume.members) {
      List<Volume> snapshots = check.snapshots(volume, owner);
      long[][] found = new long[snapshots.size()][];
      for (int i = 0; i < found.length; i++) {
        found[i] = read(nodes.get(owner - 1), volume, snapshots.get(i));
      }
      if (first == null) {
        first = found;
      } else {
        requireEqual(volume, owner, snapshots, first, found, when);
      }
    }
    for (long[] values : first) {
      Arrays.stream(values).forEach(contents);
    }
  }

  private static void requireEqual(
      ClusterVolume volume,
      int owner,
      List<Volume> snapshots,
      long[][] expected,
      long[][] found,
      String when) {
    for (int i = 0; i < found.length; i++) {
      int different = Arrays.mismatch(expected[i], found[i]);
      if (different >= 0) {
        throw new Violation(
            Guarantee.REPLICAS,
            "cell "
                + different
                + " of "
                + snapshots.get(i).name()
                + " is "
                + found[i][different]
                + " on node "
                + owner
                + " "
                + when
                + ", and "
                + expected[i][different]
                + " on node "
                + volume.members.get(0));
      }
    }
  }

  private long[] read(ClusterNode node, ClusterVolume volume, Volume export) {
    for (int i = 0; i < MAX_TRIES; i++) {
      ClusterClients.WholeRead read = clients.readWhole(node, volume, export);
      await("a read of " + export.name() + " is not answered", CALM_LIMIT_NS, read::isOver);
      if (read.values() != null) {
        return read.values();
      }
      // Whoever is told that a new epoch has begun asks again.
      if (read.status() != Status.ESTALE) {
        throw new Violation(
            Guarantee.G5,
            export.name() + " of node " + node.number + ": " + Status.name(read.status()));
      }
    }
    throw new Violation(Guarantee.G5, export.name() + " can't be read of node " + node.number);
  }

  private void note(String event) {
    if (events != null) {
      events.accept(network.nowNs() / 1000 + " us: " + event);
    }
  }
}
