package io.plinth.tools.simulator.cluster;

import io.plinth.log.replication.Members;
import io.plinth.log.replication.Replica;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.NodeCondition;
import io.plinth.target.cluster.NodeRole;
import io.plinth.target.node.NodesStatus;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Volume;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.cluster.ClusterVolume.Presence;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;

/** Looks at the nodes from outside: are they equal, and do they have what administrators know. */
final class ClusterCheck {
  private final List<ClusterNode> nodes;
  private final ClusterCommands commands;
  private final List<ClusterMap.Member> members;
  private final int first;

  /** Which replicas there were when that was looked at last, and in which life of their nodes. */
  private final Map<String, Integer> had = new TreeMap<>();

  /** What a node tells of a volume. */
  private record Told(
      int group, String description, boolean always, List<Integer> members, int moves) {}

  /**
   * Creates it.
   *
   * @param members all nodes, those too that join later
   * @param first how many nodes the cluster begins with
   */
  ClusterCheck(
      List<ClusterNode> nodes,
      ClusterCommands commands,
      List<ClusterMap.Member> members,
      int first) {
    this.nodes = nodes;
    this.first = first;
    this.commands = commands;
    this.members = members;
  }

  /** Returns which nodes have replicas of a volume, as a node tells; none if it knows of none. */
  static List<Integer> members(StorageNode node, String name) {
    Told told = catalogue(node).get(name);
    return told == null ? List.of() : told.members;
  }

  private static Map<String, Told> catalogue(StorageNode node) {
    Map<String, Told> found = new TreeMap<>();
    for (Catalogue.Entry entry : node.entries()) {
      LogVolume volume = node.findVolume(entry.name());
      boolean always =
          (volume == null ? entry.flushPolicy() : volume.flushPolicy()) == FlushPolicy.ALWAYS;
      String description = (volume == null ? entry.settings() : volume.settings()).description();
      List<Integer> members = entry.members().stream().sorted().toList();
      found.put(entry.name(), new Told(entry.group(), description, always, members, entry.moves()));
    }
    return found;
  }

  /** Returns how many moves there were of the volumes that are there. */
  long moves() {
    return catalogue(nodes.get(0).node()).values().stream().mapToLong(Told::moves).sum();
  }

  /** Notes where the replicas of a volume are, as far as that can be seen. */
  void lookFor(ClusterVolume volume) {
    for (ClusterNode node : nodes) {
      NodesStatus status = node.nodesStatus();
      Told told = status == null ? null : catalogue(node.node()).get(volume.name);
      if (told != null) {
        volume.members = told.members;
        volume.mayMove = told.moves > 0;
        return;
      }
    }
    volume.mayMove = nodes.size() > 3;
  }

  /** Returns what is still different, not led or not applied; null when nothing is. */
  String difference() {
    Map<String, Told> first = null;
    boolean catalogueIsLed = false;
    for (ClusterNode node : nodes) {
      if (!node.isHealthy()) {
        return "node " + node.number + " is not healthy";
      }
      catalogueIsLed |= node.leadsCatalogue();
      Map<String, Told> told = catalogue(node.node());
      if (first == null) {
        first = told;
      } else if (!described(told).equals(described(first))) {
        return "node " + node.number + " knows of " + told + ", node 1 of " + first;
      }
      Set<Integer> due = new TreeSet<>();
      told.values().stream()
          .filter(volume -> volume.members.contains(node.number))
          .forEach(volume -> due.add(volume.group));
      Set<Integer> there = new TreeSet<>();
      node.replicas().forEach(volume -> there.add(volume.group().id()));
      if (!due.equals(there)) {
        return "node " + node.number + " has replicas of the groups " + there + ", not of " + due;
      }
    }
    if (!catalogueIsLed || first == null) {
      return "nobody leads the catalogue";
    }
    String astray = astray();
    if (astray == null) {
      astray = catalogueAstray();
    }
    if (astray != null) {
      return astray;
    }
    for (Map.Entry<String, Told> entry : first.entrySet()) {
      String different = difference(entry.getKey(), entry.getValue().members);
      if (different != null) {
        return different;
      }
    }
    return null;
  }

  /**
   * Makes sure that no voter has dropped its replica, and that a group which has lost a voter to a
   * move has somebody to take its place. Of nodes that all run the newest log is one that has all
   * that is committed.
   */
  void requireVoters() {
    Map<String, Integer> before = new TreeMap<>(had);
    had.clear();
    for (ClusterNode node : nodes) {
      if (node.isOpen()) {
        node.replicas().forEach(volume -> had.put(key(volume.name(), node.number), node.life()));
      }
    }
    if (!nodes.stream().allMatch(node -> node.isOpen() && !node.isPaused())) {
      return;
    }
    for (ClusterVolume volume : commands.usable()) {
      Replica newest = newest(volume.name);
      if (newest == null) {
        continue;
      }
      Members members = newest.members();
      if (members.voters().size() < volume.replicas && members.learners().isEmpty()) {
        throw new Violation(
            Guarantee.REPLICAS, "the group of " + volume.name + " has only " + members);
      }
      for (int voter : members.voters()) {
        String key = key(volume.name, voter);
        int life = nodes.get(voter - 1).life();
        if (!had.containsKey(key) && before.getOrDefault(key, -1) == life) {
          throw new Violation(
              Guarantee.REPLICAS,
              "node " + voter + " has dropped its replica of " + volume.name + ", and votes");
        }
      }
    }
  }

  private static String key(String volume, int node) {
    return volume + " on " + node;
  }

  /** Returns the replica with the newest log; null if not all have begun. */
  private Replica newest(String name) {
    Replica newest = null;
    for (ClusterNode node : nodes) {
      LogVolume volume = inStore(node.number, name);
      Replica replica = volume == null ? null : volume.group().replica();
      if (replica == null || replica.awaitsState()) {
        continue;
      }
      if (!replica.hasBegun() || replica.isStopped()) {
        return null;
      }
      if (newest == null || isNewer(replica, newest)) {
        newest = replica;
      }
    }
    return newest;
  }

  private static boolean isNewer(Replica replica, Replica other) {
    long term = replica.entryTerm(replica.lastIndex());
    long otherTerm = other.entryTerm(other.lastIndex());
    return term > otherTerm || (term == otherTerm && replica.lastIndex() > other.lastIndex());
  }

  private LogVolume inStore(int number, String name) {
    for (LogVolume volume : nodes.get(number - 1).replicas()) {
      if (volume.name().equals(name)) {
        return volume;
      }
    }
    return null;
  }

  /** Returns which replica is not where it should be, or null. */
  private String astray() {
    for (ClusterNode node : nodes) {
      for (LogVolume volume : node.node().volumes()) {
        Members members = volume.group().replica().members();
        List<Integer> told = catalogue(node.node()).get(volume.name()).members;
        if (!members.voters().equals(told) || !members.learners().isEmpty()) {
          return "the group of " + volume.name() + " has " + members + ", not " + told;
        }
      }
    }
    NodesStatus status =
        nodes.stream()
            .map(ClusterNode::nodesStatus)
            .filter(Objects::nonNull)
            .findFirst()
            .orElse(null);
    if (status == null) {
      return nodes.size() > 3 && nodes.get(0).hasMoves() ? "nobody knows how nodes are" : null;
    }
    return status.moves().isEmpty() ? left(status) : status.moves().get(0);
  }

  /** Returns which node has no part in the catalogue that it should have, or null. */
  private String catalogueAstray() {
    for (ClusterNode node : nodes) {
      Members members = node.status().catalogue();
      List<Integer> all = new ArrayList<>(members.voters());
      all.addAll(members.learners());
      if (node.leadsCatalogue()
          && !all.stream().sorted().toList().equals(nodes.stream().map(n -> n.number).toList())) {
        return "the catalogue's group has " + members;
      }
      List<Integer> known = IntStream.of(node.node().cluster().numbers()).boxed().toList();
      if (!known.equals(nodes.stream().map(n -> n.number).toList())) {
        return "node " + node.number + " knows of the nodes " + known;
      }
      boolean isFull = members.voters().size() == first;
      NodesStatus status = node.nodesStatus();
      if (!isFull || (status != null && hasSubstitute(members, status))) {
        return "the catalogue's group has " + members;
      }
    }
    return null;
  }

  /** Whether a node votes that is removed, though another one could. */
  private static boolean hasSubstitute(Members members, NodesStatus status) {
    boolean removed = false;
    boolean able = false;
    for (NodeCondition node : status.nodes()) {
      boolean votes = members.voters().contains(node.node());
      removed |= votes && node.state() == NodeCondition.State.REMOVED;
      able |= !votes && node.state() == NodeCondition.State.ACTIVE;
    }
    return removed && able && !members.learners().isEmpty();
  }

  /** Returns what a node still has that it should not have, though another one could have it. */
  private String left(NodesStatus status) {
    Set<Integer> able = new TreeSet<>();
    Set<Integer> leaving = new TreeSet<>();
    for (NodeCondition node : status.nodes()) {
      boolean leaves =
          node.state() == NodeCondition.State.DRAINING
              || node.state() == NodeCondition.State.REMOVED;
      boolean _ = (leaves ? leaving : able).add(node.node());
    }
    for (Map.Entry<String, Told> told : catalogue(nodes.get(0).node()).entrySet()) {
      List<Integer> members = told.getValue().members;
      boolean hasRoom = !members.containsAll(able) && members.size() > 1;
      if (hasRoom && members.stream().anyMatch(leaving::contains)) {
        return "volume " + told.getKey() + " is on " + members + ", and " + leaving + " leave";
      }
    }
    return null;
  }

  private static Map<String, String> described(Map<String, Told> told) {
    Map<String, String> text = new TreeMap<>();
    told.forEach((name, volume) ->
        text.put(
            name, volume.group + volume.description + volume.always + volume.members.toString()));
    return text;
  }

  private String difference(String name, List<Integer> owners) {
    LogVolume leader = leader(name, owners);
    if (leader == null) {
      return "nobody leads volume " + name;
    }
    long last = leader.group().replica().lastIndex();
    for (int owner : owners) {
      LogVolume replica = replica(owner, name);
      if (replica == null
          || replica.group().appliedIndex() != last
          || replica.group().replica().lastIndex() != last) {
        return "node " + owner + " has not all of volume " + name;
      }
    }
    return null;
  }

  private LogVolume replica(int number, String name) {
    ClusterNode node = nodes.get(number - 1);
    return node.isOpen() ? node.node().findVolume(name) : null;
  }

  private LogVolume leader(String name, List<Integer> owners) {
    LogVolume best = null;
    for (int owner : owners) {
      LogVolume replica = replica(owner, name);
      if (replica != null
          && replica.group().leads()
          && (best == null || replica.group().replica().term() > best.group().replica().term())) {
        best = replica;
      }
    }
    return best;
  }

  /** Returns the node that leads a volume, as far as it says so itself, or null. */
  ClusterNode leaderOf(ClusterVolume volume) {
    LogVolume leader = leader(volume.name, volume.members);
    for (ClusterNode node : nodes) {
      if (leader != null && node.isOpen() && node.node().findVolume(volume.name) == leader) {
        return node;
      }
    }
    return null;
  }

  /** Judges what all nodes agree on by what administrators know. */
  void judge(String when) {
    judgeRoles(when);
    Map<String, Told> told = catalogue(nodes.get(0).node());
    for (String name : told.keySet()) {
      if (commands.find(name) == null) {
        throw violation("nobody has created volume " + name + ", which is there " + when);
      }
    }
    for (ClusterVolume volume : commands.volumes()) {
      Told found = told.get(volume.name);
      if (found == null && volume.presence == Presence.CERTAIN) {
        throw violation("volume " + volume.name + " is missing " + when);
      }
      if (found != null && volume.presence == Presence.NONE) {
        throw violation("volume " + volume.name + " is there " + when + ", and was deleted");
      }
      if (found != null) {
        judge(volume, found, when);
      }
    }
  }

  /** What nodes are to be is what was asked for. */
  private void judgeRoles(String when) {
    for (ClusterNode node : nodes) {
      NodesStatus status = node.nodesStatus();
      if (status == null) {
        continue;
      }
      for (NodeCondition condition : status.nodes()) {
        NodeRole.Kind kind =
            switch (condition.state()) {
              case DRAINING -> NodeRole.Kind.DRAINING;
              case REMOVED -> NodeRole.Kind.REMOVED;
              default -> NodeRole.Kind.IN_SERVICE;
            };
        if (!commands.roles(condition.node()).contains(kind)) {
          throw violation("node " + condition.node() + " is " + condition + " " + when);
        }
      }
    }
  }

  private void judge(ClusterVolume volume, Told found, String when) {
    if (!volume.descriptions.contains(found.description)) {
      throw new Violation(
          Guarantee.SETTINGS,
          "volume "
              + volume.name
              + " is described as "
              + found.description
              + " "
              + when
              + ", not as one of "
              + volume.descriptions);
    }
    // Where nodes leave, there may be no others.
    boolean spread = nodes.get(0).hasMoves() || isSpread(found.members);
    if (found.members.size() != volume.replicas || !spread) {
      throw violation("volume " + volume.name + " is on the nodes " + found.members);
    }
    volume.members = found.members;
    for (int owner : found.members) {
      LogVolume replica = replica(owner, volume.name);
      if (!volume.sizes.contains(replica.sizeBytes())) {
        throw violation(
            "volume "
                + volume.name
                + " has "
                + replica.sizeBytes()
                + " bytes on node "
                + owner
                + " "
                + when
                + ", not one of "
                + volume.sizes);
      }
      judgeSnapshots(volume, owner, names(replica), when);
    }
  }

  private static void judgeSnapshots(
      ClusterVolume volume, int owner, Set<String> there, String when) {
    for (Map.Entry<String, Presence> known : volume.snapshots.entrySet()) {
      boolean is = there.remove(known.getKey());
      if ((is && known.getValue() == Presence.NONE)
          || (!is && known.getValue() == Presence.CERTAIN)) {
        throw violation(
            "snapshot "
                + volume.name
                + "@"
                + known.getKey()
                + (is ? " is there " : " is missing ")
                + when
                + " on node "
                + owner);
      }
    }
    if (!there.isEmpty()) {
      throw violation("nobody has taken snapshots " + there + " of volume " + volume.name);
    }
  }

  /** Returns whether no rack has two replicas, if there are enough. */
  private boolean isSpread(List<Integer> owners) {
    Set<String> all = new TreeSet<>();
    members.forEach(member -> all.add(rack(member.number())));
    Set<String> used = new TreeSet<>();
    owners.forEach(owner -> used.add(rack(owner)));
    return used.size() == Math.min(owners.size(), all.size());
  }

  private String rack(int number) {
    String rack = members.get(number - 1).rack();
    return rack.isEmpty() ? "node " + number : rack;
  }

  private static Set<String> names(LogVolume replica) {
    Set<String> names = new TreeSet<>();
    replica.visibleSnapshots().forEach(snapshot -> names.add(snapshot.snapshotName()));
    return names;
  }

  /** Returns the snapshots of a volume that a node has, in the order of their names. */
  List<Volume> snapshots(ClusterVolume volume, int owner) {
    List<SnapshotVolume> found = new ArrayList<>(replica(owner, volume.name).visibleSnapshots());
    found.sort(Comparator.comparing(SnapshotVolume::snapshotName));
    return List.copyOf(found);
  }

  private static Violation violation(String what) {
    return new Violation(Guarantee.CATALOGUE, what);
  }
}
