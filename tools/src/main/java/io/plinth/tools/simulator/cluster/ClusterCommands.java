package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimRandom;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.NodeRole;
import io.plinth.target.node.NodeException;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.cluster.ClusterVolume.Presence;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Administrators of a cluster: they ask any node, go where they are sent, and remember what has
 * been done, what has not, and what they do not know. One command for each volume at a time.
 */
final class ClusterCommands {
  private static final int MAX_VOLUMES = 4;
  private static final int MAX_SNAPSHOTS = 3;
  private static final int MAX_HOPS = 3;

  private final SimRandom random;
  private final List<ClusterNode> nodes;
  private final Consumer<String> trace;
  private final int[] replicaCounts;
  private final Map<String, ClusterVolume> volumes = new TreeMap<>();
  private final List<Command<?>> underWay = new ArrayList<>();
  private final Map<Integer, Set<NodeRole.Kind>> roles = new TreeMap<>();

  /** Of all nodes, as if it were a volume: one command at a time. */
  private final ClusterVolume cluster = new ClusterVolume("", FlushPolicy.FLUSH, 0);

  private boolean hasAdmitted;
  private int nextVolume = 1;
  private int nextSnapshot = 1;
  private int nextText = 1;
  private long asked;
  private long done;

  /** What was found in a callback, where nobody hears of it. */
  private RuntimeException problem;

  /** How a command has ended. */
  private enum Outcome {
    DONE,
    REFUSED,
    UNKNOWN
  }

  /** A command until its outcome is there. */
  private final class Command<T> {
    private final String what;
    private final Function<StorageNode, CompletableFuture<T>> ask;
    private final BiConsumer<Outcome, T> end;
    private ClusterNode node;
    private int life;
    private int hops;
    private boolean over;

    Command(
        String what, Function<StorageNode, CompletableFuture<T>> ask, BiConsumer<Outcome, T> end) {
      this.what = what;
      this.ask = ask;
      this.end = end;
    }

    void askOf(ClusterNode asked) {
      node = asked;
      life = asked.life();
      trace.accept("node " + asked.number + " is asked to " + what);
      CompletableFuture<?> _ =
          ask.apply(asked.node())
              .whenComplete((result, failure) -> {
                try {
                  if (failure == null) {
                    finish(Outcome.DONE, result, "done");
                  } else {
                    failed(failure.getCause() == null ? failure : failure.getCause());
                  }
                } catch (RuntimeException e) {
                  problem = e;
                }
              });
    }

    private void failed(Throwable failure) {
      if (!(failure instanceof NodeException e)) {
        throw new IllegalStateException(what + " failed", failure);
      }
      switch (e.reason()) {
        case ELSEWHERE -> {
          ClusterNode next = nodes.get(e.node() - 1);
          if (++hops > MAX_HOPS || !next.isOpen()) {
            finish(Outcome.REFUSED, null, e.getMessage());
          } else {
            askOf(next);
          }
        }
        case UNAVAILABLE -> finish(Outcome.UNKNOWN, null, e.getMessage());
        default -> finish(Outcome.REFUSED, null, e.getMessage());
      }
    }

    void finish(Outcome outcome, T result, String why) {
      if (over) {
        return;
      }
      over = true;
      boolean _ = underWay.remove(this);
      done += outcome == Outcome.DONE ? 1 : 0;
      trace.accept(what + ": " + outcome + ", " + why);
      end.accept(outcome, result);
    }

    boolean isLost() {
      return !node.isUp() || node.life() != life;
    }
  }

  /**
   * Creates the administrators.
   *
   * @param replicaCounts how many replicas volumes have
   */
  ClusterCommands(
      SimRandom random, List<ClusterNode> nodes, Consumer<String> trace, int... replicaCounts) {
    this.random = random;
    this.nodes = nodes;
    this.trace = trace;
    this.replicaCounts = replicaCounts.clone();
  }

  Collection<ClusterVolume> volumes() {
    return volumes.values();
  }

  ClusterVolume find(String name) {
    return volumes.get(name);
  }

  /** Returns volumes that clients may use. */
  List<ClusterVolume> usable() {
    return volumes.values().stream().filter(ClusterVolume::isUsable).toList();
  }

  boolean isIdle() {
    return underWay.isEmpty();
  }

  /** Returns how many commands were asked, and how many of them were done. */
  long asked() {
    return asked;
  }

  long done() {
    return done;
  }

  String describe() {
    List<String> left = new ArrayList<>();
    underWay.forEach(command -> left.add(command.what + " of node " + command.node.number));
    return left.toString();
  }

  /** Throws what was found since. */
  void check() {
    if (problem != null) {
      throw problem;
    }
  }

  /** What dead nodes were asked for may have been done, or will be. */
  void forgetLost() {
    for (Command<?> command : List.copyOf(underWay)) {
      if (command.isLost()) {
        command.finish(Outcome.UNKNOWN, null, "the node is gone");
      }
    }
  }

  /** Asks for something, by chance. */
  void act() {
    List<ClusterVolume> free = volumes.values().stream().filter(v -> !v.isBusy).toList();
    long there = volumes.values().stream().filter(v -> v.presence != Presence.NONE).count();
    if ((usable().isEmpty() && there < 2 * MAX_VOLUMES)
        || (there < MAX_VOLUMES && random.oneIn(5))) {
      create();
      return;
    }
    if (free.isEmpty()) {
      return;
    }
    ClusterVolume volume = free.get(random.nextInt(free.size()));
    if (volume.presence == Presence.POSSIBLE) {
      if (random.oneIn(2)) {
        delete(volume);
      }
      return;
    }
    if (!volume.isUsable()) {
      return;
    }
    switch (random.nextInt(10)) {
      case 0 -> {
        if (there > 1) {
          delete(volume);
        }
      }
      case 1, 2 -> createSnapshot(volume);
      case 3 -> deleteSnapshot(volume);
      case 4, 5 -> resize(volume);
      case 6, 7 -> moveLead(volume);
      default -> set(volume);
    }
  }

  /** Asks to drain, remove or replace a node, or to take one back, by chance. */
  void actOnNodes() {
    if (cluster.isBusy) {
      return;
    }
    List<Integer> leaving = new ArrayList<>();
    roles.forEach((node, kinds) -> {
      if (!kinds.equals(Set.of(NodeRole.Kind.IN_SERVICE))) {
        leaving.add(node);
      }
    });
    // Where too many leave there is nowhere to go.
    boolean back = !leaving.isEmpty() && (leaving.size() > 1 || random.oneIn(3));
    int node = back ? leaving.get(random.nextInt(leaving.size())) : anyNode();
    if (back) {
      role(
          node,
          NodeRole.Kind.IN_SERVICE,
          "take node " + node + " back",
          asked -> asked.undrainNode(node));
      return;
    }
    int other = anyNode();
    switch (random.nextInt(4)) {
      case 0 ->
          role(
              node,
              NodeRole.Kind.REMOVED,
              "remove node " + node,
              asked -> asked.removeNode(node, random.oneIn(2)));
      case 1 ->
          role(
              node,
              NodeRole.Kind.DRAINING,
              "replace node " + node + " by " + other,
              asked -> asked.drainNode(node, other, false));
      default ->
          role(
              node,
              NodeRole.Kind.DRAINING,
              "drain node " + node,
              asked -> asked.drainNode(node, 0, false));
    }
  }

  /** Asks to admit a node, unless that, or something else of the nodes, is asked for already. */
  void admit(ClusterMap.Member member) {
    if (!cluster.isBusy && !hasAdmitted) {
      ask(
          cluster,
          "admit node " + member.number(),
          node -> node.admitNode(member),
          (outcome, lines) -> hasAdmitted = outcome == Outcome.DONE);
    }
  }

  /** Returns whether that was done. */
  boolean hasAdmitted() {
    return hasAdmitted;
  }

  private int anyNode() {
    return nodes.get(random.nextInt(nodes.size())).number;
  }

  private void role(
      int node,
      NodeRole.Kind wanted,
      String what,
      Function<StorageNode, CompletableFuture<List<String>>> question) {
    ask(
        cluster,
        what,
        question,
        (outcome, lines) -> {
          Set<NodeRole.Kind> kinds = rolesOf(node);
          if (outcome == Outcome.DONE) {
            kinds.clear();
          }
          if (outcome != Outcome.REFUSED) {
            boolean _ = kinds.add(wanted);
          }
        });
  }

  private Set<NodeRole.Kind> rolesOf(int node) {
    return roles.computeIfAbsent(node, number -> new TreeSet<>(Set.of(NodeRole.Kind.IN_SERVICE)));
  }

  /** Returns what a node may be by what was asked for. */
  Set<NodeRole.Kind> roles(int node) {
    return rolesOf(node);
  }

  /** Returns the node to ask: often who leads the catalogue, but anybody may be. */
  private ClusterNode pick() {
    List<ClusterNode> open = nodes.stream().filter(n -> n.isOpen() && !n.isPaused()).toList();
    List<ClusterNode> leaders = open.stream().filter(ClusterNode::leadsCatalogue).toList();
    List<ClusterNode> from = leaders.isEmpty() || random.oneIn(3) ? open : leaders;
    return from.isEmpty() ? null : from.get(random.nextInt(from.size()));
  }

  private <T> void ask(
      ClusterVolume volume,
      String what,
      Function<StorageNode, CompletableFuture<T>> question,
      BiConsumer<Outcome, T> end) {
    ClusterNode node = pick();
    if (node == null) {
      return;
    }
    asked++;
    volume.isBusy = true;
    Command<T> command =
        new Command<>(
            what,
            question,
            (outcome, result) -> {
              volume.isBusy = false;
              end.accept(outcome, result);
            });
    underWay.add(command);
    command.askOf(node);
  }

  void create() {
    if (pick() == null) {
      return;
    }
    String name = "v" + nextVolume++;
    FlushPolicy policy = random.oneIn(3) ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
    int replicas = replicaCounts[random.nextInt(replicaCounts.length)];
    ClusterVolume volume = new ClusterVolume(name, policy, replicas);
    volume.sizes.add(ClusterVolume.LEAST_BYTES);
    volume.descriptions.add("");
    volumes.put(name, volume);
    ClusterNode[] asker = new ClusterNode[1];
    this.<LogVolume>ask(
        volume,
        "create " + name + " with " + replicas + " replicas",
        node -> {
          asker[0] = of(node);
          return node.createVolume(
              name,
              ClusterVolume.LEAST_BYTES,
              policy,
              VolumeSettings.DEFAULT,
              OptionalInt.of(replicas));
        },
        (outcome, replica) -> {
          switch (outcome) {
            case DONE -> created(volume, asker[0]);
            case REFUSED -> volume.presence = Presence.NONE;
            case UNKNOWN -> {}
          }
        });
  }

  private void created(ClusterVolume volume, ClusterNode node) {
    volume.presence = Presence.CERTAIN;
    if (node.node().find(volume.name) == null) {
      throw new Violation(
          Guarantee.CATALOGUE,
          "node " + node.number + " has created volume " + volume.name + " and does not have it");
    }
    volume.members = ClusterCheck.members(node.node(), volume.name);
    for (int member : volume.members) {
      boolean isThere = nodes.stream().anyMatch(one -> one.number == member && one.isMember());
      if (node.hasMoves() && !isThere) {
        throw new Violation(
            Guarantee.CATALOGUE,
            "volume " + volume.name + " is on node " + member + ", which has not joined");
      }
    }
  }

  private ClusterNode of(StorageNode node) {
    return nodes.stream().filter(n -> n.node() == node).findFirst().orElseThrow();
  }

  private void delete(ClusterVolume volume) {
    boolean force = !random.oneIn(4);
    boolean wasGoing = volume.isGoing;
    Presence before = volume.presence;
    volume.isGoing = true;
    ask(
        volume,
        "delete " + volume.name + (force ? " in any case" : ""),
        node -> node.deleteVolume(volume.name, force),
        (outcome, nothing) -> {
          switch (outcome) {
            case DONE -> volume.presence = Presence.NONE;
            case REFUSED -> {
              volume.isGoing = wasGoing;
              volume.presence = before;
            }
            case UNKNOWN -> volume.presence = Presence.POSSIBLE;
          }
        });
    if (!volume.isBusy) {
      volume.isGoing = wasGoing;
    }
  }

  private void createSnapshot(ClusterVolume volume) {
    if (volume.snapshots.values().stream().filter(p -> p != Presence.NONE).count()
        < MAX_SNAPSHOTS) {
      snapshot(volume, "s" + nextSnapshot++);
    }
  }

  /** Takes a snapshot, which may or may not be done. */
  void snapshot(ClusterVolume volume, String name) {
    volume.snapshots.put(name, Presence.POSSIBLE);
    ask(
        volume,
        "create " + volume.name + "@" + name,
        node -> node.createSnapshot(volume.name, name),
        (outcome, nothing) -> change(volume.snapshots, name, outcome, Presence.CERTAIN));
  }

  private void deleteSnapshot(ClusterVolume volume) {
    List<String> there =
        volume.snapshots.entrySet().stream()
            .filter(entry -> entry.getValue() == Presence.CERTAIN)
            .map(Map.Entry::getKey)
            .toList();
    if (there.isEmpty()) {
      return;
    }
    String name = there.get(random.nextInt(there.size()));
    ask(
        volume,
        "delete " + volume.name + "@" + name,
        node -> node.deleteSnapshot(volume.name, name, random.oneIn(2)),
        (outcome, nothing) -> change(volume.snapshots, name, outcome, Presence.NONE));
  }

  /** A snapshot is what was asked for, or what it was, or nobody knows. */
  private static void change(
      Map<String, Presence> snapshots, String name, Outcome outcome, Presence wanted) {
    switch (outcome) {
      case DONE -> snapshots.put(name, wanted);
      case REFUSED -> {
        if (wanted == Presence.CERTAIN) {
          snapshots.put(name, Presence.NONE);
        }
      }
      case UNKNOWN -> snapshots.put(name, Presence.POSSIBLE);
    }
  }

  private void resize(ClusterVolume volume) {
    int blocks =
        random.nextInt(
            (int) ((ClusterVolume.MOST_BYTES - ClusterVolume.LEAST_BYTES) / Volume.BLOCK_BYTES));
    long size = ClusterVolume.LEAST_BYTES + (long) blocks * Volume.BLOCK_BYTES;
    ask(
        volume,
        "resize " + volume.name + " to " + size,
        node -> node.resizeVolume(volume.name, size, true),
        (outcome, nothing) -> {
          if (outcome == Outcome.DONE) {
            volume.sizes.clear();
          }
          if (outcome != Outcome.REFUSED) {
            volume.sizes.add(size);
          }
        });
  }

  private void set(ClusterVolume volume) {
    String text = "text " + nextText++;
    SettingsChange change =
        new SettingsChange(
            EnumSet.of(SettingsChange.Key.DESCRIPTION),
            new VolumeSettings(text, Optional.empty(), List.of()));
    ask(
        volume,
        "describe " + volume.name + " as " + text,
        node -> node.changeSettings(volume.name, change),
        (outcome, nothing) -> {
          if (outcome == Outcome.DONE) {
            volume.descriptions.clear();
          }
          if (outcome != Outcome.REFUSED) {
            volume.descriptions.add(text);
          }
        });
  }

  private void moveLead(ClusterVolume volume) {
    if (volume.members.size() < 2) {
      return;
    }
    int target = volume.members.get(random.nextInt(volume.members.size()));
    StorageNode[] asker = new StorageNode[1];
    ask(
        volume,
        "move the lead of " + volume.name + " to node " + target,
        node -> {
          asker[0] = node;
          return node.moveLead(volume.name, target);
        },
        (outcome, nothing) -> {
          LogVolume replica = asker[0].findVolume(volume.name);
          if (outcome == Outcome.DONE
              && replica != null
              && replica.group().standing().leader() != target) {
            throw new Violation(
                Guarantee.CATALOGUE,
                "the lead of " + volume.name + " was moved, and node " + target + " does not lead");
          }
        });
  }
}
