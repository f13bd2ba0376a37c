package io.plinth.tools.simulator.cluster;

import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
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
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;

/** Looks at the nodes from outside: are they equal, and do they have what administrators know. */
final class ClusterCheck {
  private final List<ClusterNode> nodes;
  private final ClusterCommands commands;
  private final List<ClusterMap.Member> members;

  /** What a node tells of a volume. */
  private record Told(int group, String description, boolean always, List<Integer> members) {}

  ClusterCheck(List<ClusterNode> nodes, ClusterCommands commands, List<ClusterMap.Member> members) {
    this.nodes = nodes;
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
    for (LogVolume volume : node.volumes()) {
      List<Integer> voters =
          IntStream.of(volume.group().standing().members()).sorted().boxed().toList();
      boolean always = volume.flushPolicy() == FlushPolicy.ALWAYS;
      found.put(
          volume.name(),
          new Told(volume.group().id(), volume.settings().description(), always, voters));
    }
    for (Catalogue.Entry entry : node.remoteVolumes()) {
      boolean always = entry.flushPolicy() == FlushPolicy.ALWAYS;
      found.put(
          entry.name(),
          new Told(
              entry.group(),
              entry.settings().description(),
              always,
              entry.members().stream().sorted().toList()));
    }
    return found;
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
      node.node().store(0).volumes().forEach(volume -> there.add(volume.group().id()));
      if (!due.equals(there)) {
        return "node " + node.number + " has replicas of the groups " + there + ", not of " + due;
      }
    }
    if (!catalogueIsLed || first == null) {
      return "nobody leads the catalogue";
    }
    for (Map.Entry<String, Told> entry : first.entrySet()) {
      String different = difference(entry.getKey(), entry.getValue().members);
      if (different != null) {
        return different;
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
    if (found.members.size() != volume.replicas || !isSpread(found.members)) {
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
