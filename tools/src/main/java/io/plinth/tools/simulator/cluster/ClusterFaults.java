package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** What happens to the machines and networks of a cluster. */
final class ClusterFaults {
  private static final long MS = 1_000_000;
  private static final int SLOW_SYNC_NS = 5_000_000;
  private static final int SLOW_READ_NS = 2_000_000;

  /** A log that had no room tries again after 2 s. */
  private static final long UNAWARE_NS = 2_100 * MS;

  private static final int MAX_PAUSE_MS = 120;
  private static final int LOSE_ONE_IN = 200;
  private static final int LATE_ONE_IN = 20;
  private static final int MAX_LATE_NS = 5_000_000;
  private static final int MAX_SLOW_MS = 10;
  private static final int SLOW_NS_PER_BYTE = 100;

  private final SimRandom random;
  private final SimNetwork network;
  private final List<ClusterNode> nodes;
  private final ClusterAtlas atlas;
  private final ClusterCommands commands;
  private final ClusterCheck check;
  private final ClusterDamage damage;

  /** The node whose disks are damaged. */
  private final int damagedNode;

  private final Consumer<String> trace;
  private final Map<ClusterFault, Long> counts = new EnumMap<>(ClusterFault.class);

  /** All machines have lost their power, and the groups have not recovered yet. */
  private boolean fragile;

  private boolean ended;

  /** When there was room again last. */
  private long roomSinceNs = -UNAWARE_NS;

  ClusterFaults(
      SimRandom random,
      SimNetwork network,
      List<ClusterNode> nodes,
      ClusterCommands commands,
      ClusterCheck check,
      ClusterDamage damage,
      ClusterAtlas atlas,
      Consumer<String> trace) {
    this.random = random;
    this.network = network;
    this.nodes = nodes;
    this.commands = commands;
    this.check = check;
    this.damage = damage;
    this.damagedNode = 1 + random.nextInt(nodes.size());
    this.atlas = atlas;
    this.trace = trace;
  }

  Map<ClusterFault, Long> counts() {
    return counts;
  }

  /** Returns whether all power was lost and not all nodes are well since. */
  boolean isFragile() {
    if (fragile && nodes.stream().allMatch(ClusterNode::isHealthy)) {
      fragile = check.difference() != null;
    }
    return fragile;
  }

  /** Lets something happen, by chance. */
  void act() {
    if (isFragile()) {
      giveRoom();
      nodes.stream().filter(node -> !node.isUp()).forEach(this::start);
      return;
    }
    ClusterNode node = nodes.get(random.nextInt(nodes.size()));
    ClusterNode other = nodes.get(random.nextInt(nodes.size()));
    switch (random.nextInt(24)) {
      case 0 -> oneWay(node, other);
      case 1 -> isolate(random.oneIn(2) ? node : leader(node));
      case 2, 3, 4 -> heal();
      case 5 -> slowWay(node, other);
      case 6 -> lose();
      case 7 -> late();
      case 8, 9 -> kill(node);
      case 10 -> losePower(node);
      case 11 -> {
        if (random.oneIn(3)) {
          loseAllPower();
        } else if (random.oneIn(2)) {
          killAll();
        }
      }
      case 12 -> pause(random.oneIn(2) ? node : leader(node));
      case 13, 14 -> stop(node);
      case 15 -> wipe(node);
      case 16, 17, 18 -> damage();
      case 19, 20 -> fill(node);
      case 21 -> failSync(node);
      default -> reset(node, other);
    }
    for (ClusterNode down : nodes) {
      if (down.hasFailedLog() && random.oneIn(3)) {
        endFailed(down);
      }
      if (!down.isUp() && random.oneIn(2)) {
        start(down);
      }
    }
  }

  /**
   * Kills a node that nobody starts for a while, if all are well.
   *
   * @return whether it has
   */
  boolean leaveAlone(long durationNs) {
    ClusterNode node = nodes.get(random.nextInt(nodes.size()));
    if (isFragile() || !nodes.stream().allMatch(ClusterNode::isHealthy)) {
      return false;
    }
    trace.accept("node " + node.number + " is killed and left alone");
    heal();
    node.kill();
    node.absentUntil(network.nowNs() + durationNs);
    return true;
  }

  private boolean anyAbsent() {
    return nodes.stream().anyMatch(ClusterNode::isAbsent);
  }

  void start(ClusterNode node) {
    if (node.isAbsent()) {
      return;
    }
    boolean slow = meets(ClusterFault.SLOW_DEVICE, random.oneIn(3));
    node.slowSyncNs = slow ? SLOW_SYNC_NS : 0;
    node.slowReadNs = slow ? SLOW_READ_NS : 0;
    rotHeader(node);
    trace.accept("node " + node.number + " is started");
    node.start();
  }

  /** Counts a fault that is one of this run; returns whether it is and the conditions hold. */
  private boolean meets(ClusterFault fault, boolean possible) {
    if (!possible || !atlas.has(fault)) {
      return false;
    }
    counts.merge(fault, 1L, Long::sum);
    return true;
  }

  private boolean meets(ClusterFault fault, boolean possible, ClusterNode node) {
    boolean meets = meets(fault, possible);
    if (meets) {
      trace.accept(fault.label() + ": node " + node.number);
    }
    return meets;
  }

  /** Returns who leads some volume, or another node. */
  private ClusterNode leader(ClusterNode otherwise) {
    List<ClusterVolume> volumes = commands.usable();
    if (volumes.isEmpty()) {
      return otherwise;
    }
    ClusterNode found = check.leaderOf(volumes.get(random.nextInt(volumes.size())));
    return found == null ? otherwise : found;
  }

  private boolean othersAreWell(ClusterNode node) {
    return nodes.stream().allMatch(other -> other == node || other.isHealthy());
  }

  /** The disks of a node, or of all, are full soon; or there is room again. */
  private void fill(ClusterNode node) {
    if (nodes.stream().anyMatch(ClusterNode::isLimited)) {
      giveRoom();
    } else if (meets(
        ClusterFault.FULL_DISK, nodes.stream().allMatch(ClusterNode::isMember), node)) {
      int more = random.nextInt(2);
      if (random.oneIn(3)) {
        trace.accept("and so it is for all");
        nodes.forEach(one -> one.limitDisks(more));
      } else {
        node.limitDisks(more);
      }
    }
  }

  void giveRoom() {
    if (nodes.stream().anyMatch(ClusterNode::isLimited)) {
      trace.accept("there is room again");
      nodes.forEach(ClusterNode::unlimitDisks);
      roomSinceNs = network.nowNs();
    }
  }

  /** Returns whether logs may not have tried yet whether there is room again. */
  boolean mayBeUnaware() {
    return network.nowNs() < roomSinceNs + UNAWARE_NS;
  }

  /** Notes whom a full disk may keep from writing, or a failed one. */
  void note() {
    for (ClusterNode node : nodes) {
      for (ClusterVolume volume : commands.volumes()) {
        boolean mayHave = volume.mayMove || volume.members.contains(node.number);
        if (node.hasFailedLog() && volume.replicas == 1 && mayHave) {
          volume.failedNs = network.nowNs();
        }
      }
      if (node.isLimited() || mayBeUnaware()) {
        for (ClusterVolume volume : commands.volumes()) {
          if (ended && !mayBeUnaware() && !leads(node, volume)) {
            // Nothing else happens: only who leads may refuse.
            continue;
          }
          boolean mayHave =
              volume.members.isEmpty() || volume.mayMove || volume.members.contains(node.number);
          if (mayHave || nodes.size() > 3) {
            volume.fullNs = network.nowNs();
          }
        }
      }
    }
  }

  /** It serves other nodes also while its own catalogue does not know the volume again. */
  private boolean leads(ClusterNode node, ClusterVolume volume) {
    ClusterNode shown = check.leaderOf(volume);
    return shown == null ? node.leads(volume.name) : shown == node;
  }

  private void failSync(ClusterNode node) {
    boolean possible = node.isHealthy() && othersAreWell(node) && !node.isPaused();
    if (meets(ClusterFault.FAILED_SYNC, possible, node)) {
      node.failSync(random.nextInt(node.logs()));
    }
  }

  /** What has stopped is started anew by somebody, perhaps with the machine. */
  private void endFailed(ClusterNode node) {
    if (atlas.has(ClusterFault.POWER_CUT) && othersAreWell(node) && random.oneIn(3)) {
      trace.accept("node " + node.number + ", whose log has failed, loses power");
      node.losePower();
      loneVolumesLost(node);
    } else {
      trace.accept("node " + node.number + ", whose log has failed, is killed");
      node.kill();
    }
  }

  private void damage() {
    List<ClusterFault> kinds =
        Arrays.stream(ClusterFault.values())
            .filter(fault -> fault.isDamage() && atlas.has(fault))
            .toList();
    ClusterNode victim = nodes.get(damagedNode - 1);
    if (kinds.isEmpty() || !victim.isOpen()) {
      return;
    }
    ClusterFault kind = kinds.get(random.nextInt(kinds.size()));
    String what = damage.inject(kind, victim, network.nowNs());
    if (what != null) {
      counts.merge(kind, 1L, Long::sum);
      trace.accept(what);
    }
  }

  private void rotHeader(ClusterNode node) {
    boolean possible = !ended && !node.hasRottenHeader() && !fragile;
    String what =
        possible && atlas.has(ClusterFault.HEADER_ROT) && random.oneIn(3)
            ? damage.rotHeader(node)
            : null;
    if (what != null) {
      counts.merge(ClusterFault.HEADER_ROT, 1L, Long::sum);
      trace.accept(what);
    }
  }

  private void oneWay(ClusterNode from, ClusterNode to) {
    if (meets(ClusterFault.ONE_WAY, from != to, from)) {
      network.block(from.number, to.number);
    }
  }

  private void isolate(ClusterNode node) {
    if (meets(ClusterFault.ISOLATION, true, node)) {
      for (ClusterNode other : nodes) {
        network.block(node.number, other.number);
        network.block(other.number, node.number);
      }
    }
  }

  private void heal() {
    trace.accept("the network heals");
    network.heal();
  }

  private void slowWay(ClusterNode from, ClusterNode to) {
    if (meets(ClusterFault.SLOW_WAY, from != to, from)) {
      network.slow(from.number, to.number, random.nextInt(MAX_SLOW_MS) * MS, SLOW_NS_PER_BYTE);
    }
  }

  private void lose() {
    network.lose(meets(ClusterFault.LOSS, random.oneIn(2)) ? LOSE_ONE_IN : 0);
  }

  private void late() {
    network.late(meets(ClusterFault.LATE, random.oneIn(2)) ? LATE_ONE_IN : 0, MAX_LATE_NS);
  }

  private void reset(ClusterNode a, ClusterNode b) {
    if (meets(ClusterFault.RESET, a != b, a)) {
      network.reset(a.number, b.number);
    }
  }

  private void pause(ClusterNode node) {
    if (meets(ClusterFault.PAUSE, node.isOpen(), node)) {
      node.pause((5L + random.nextInt(MAX_PAUSE_MS)) * MS);
    }
  }

  private void stop(ClusterNode node) {
    boolean possible = node.isOpen() && !node.isPaused() && !node.hasFailedLog();
    if (meets(ClusterFault.ORDERLY_STOP, possible, node)) {
      node.stop();
    }
  }

  private void kill(ClusterNode node) {
    if (meets(ClusterFault.PROCESS_CRASH, node.isUp(), node)) {
      node.kill();
    }
  }

  private void killAll() {
    if (meets(ClusterFault.ALL_CRASH, true)) {
      trace.accept("all processes die");
      nodes.forEach(ClusterNode::kill);
    }
  }

  private void losePower(ClusterNode node) {
    if (meets(ClusterFault.POWER_CUT, node.isUp() && othersAreWell(node), node)) {
      node.losePower();
      loneVolumesLost(node);
    }
  }

  /** What only one machine has is as durable as that machine's log. */
  private void loneVolumesLost(ClusterNode node) {
    for (ClusterVolume volume : commands.volumes()) {
      if (volume.members.equals(List.of(node.number))) {
        volume.powerLost(network.nowNs());
      }
    }
  }

  private void wipe(ClusterNode node) {
    if (meets(ClusterFault.WIPE, node.isHealthy() && othersAreWell(node), node)) {
      node.wipe();
      if (random.oneIn(2)) {
        // At once, and without one of those who know what it has forgotten.
        start(node);
        heal();
        isolate(nodes.get(node.number % nodes.size()));
      }
    }
  }

  private void loseAllPower() {
    boolean possible = !anyAbsent();
    if (random.oneIn(2)) {
      if (meets(ClusterFault.ALL_POWER_CUT, possible)) {
        cutAll();
      }
      return;
    }
    List<ClusterVolume> some =
        commands.usable().stream()
            .filter(volume -> volume.members.size() > 1 && volume.members.size() < nodes.size())
            .toList();
    boolean allWell = nodes.stream().allMatch(ClusterNode::isHealthy);
    if (meets(ClusterFault.MEMBERS_POWER_CUT, allWell && !some.isEmpty())) {
      cut(some.get(random.nextInt(some.size())).members);
    }
  }

  /** All machines at once: of what was not flushed some may be lost. */
  void cutAll() {
    cut(nodes.stream().filter(ClusterNode::isUp).map(node -> node.number).toList());
  }

  /** Some machines at once, perhaps a majority of some volumes' members. */
  private void cut(List<Integer> victims) {
    trace.accept("nodes " + victims + " lose power at once");
    boolean all = nodes.stream().allMatch(ClusterNode::isUp);
    commands.volumes().forEach(check::lookFor);
    victims.forEach(number -> nodes.get(number - 1).losePower());
    for (ClusterVolume volume : commands.volumes()) {
      long lost = volume.members.stream().filter(victims::contains).count();
      // Of who was down before, what is in his page cache may be older than what is lost.
      if (!all || volume.mayMove || lost * 2 > volume.members.size()) {
        volume.powerLost(network.nowNs());
      }
      if (lost > 1 && lost == volume.members.size() && !volume.mayMove) {
        volume.allLostNs = network.nowNs();
      }
    }
    calm();
    fragile = true;
    nodes.stream().filter(node -> !node.isUp()).forEach(this::start);
  }

  /** Nothing more happens. */
  void end() {
    ended = true;
    giveRoom();
    nodes.forEach(ClusterNode::endFailing);
    calm();
  }

  /** Ends what happens to the network. */
  void calm() {
    network.heal();
    network.lose(0);
    network.late(0, 0);
  }
}
