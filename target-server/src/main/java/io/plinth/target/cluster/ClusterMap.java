package io.plinth.target.cluster;

import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.IntPredicate;

/**
 * The nodes of a cluster as each of them is told, and which one of them this is.
 *
 * @param name of the cluster; empty for a node that is in none
 * @param self the number of this node
 * @param isNew whether this node has begun with an empty data directory and has not been given
 *     since what it may have had before
 * @param joined whether this node has joined a cluster that had begun without it
 * @param members all nodes that are known, this one among them, in the order of their numbers
 */
public record ClusterMap(
    String name, int self, boolean isNew, boolean joined, List<Member> members) {
  /** How many nodes there may be: all of them have the catalogue. */
  public static final int MAXIMUM_MEMBERS = 7;

  /**
   * A node.
   *
   * @param number from 1 on
   * @param host where its peers reach it
   * @param port of its log 0; further logs have the ports that follow
   * @param admin where its admin API is
   * @param rack what fails together with it; empty when that is not known
   */
  public record Member(int number, String host, int port, String admin, String rack) {
    /** Returns where a log of the node listens for its peers. */
    public String address(int log) {
      String shown = host.indexOf(':') >= 0 ? "[" + host + "]" : host;
      return shown + ":" + (port + log);
    }
  }

  /** Copies the list. */
  public ClusterMap {
    members = List.copyOf(members);
  }

  /** Creates that of a node which the cluster has begun with. */
  public ClusterMap(String name, int self, boolean isNew, List<Member> members) {
    this(name, self, isNew, false, members);
  }

  /**
   * Returns the same with what the catalogue says of nodes. What a node's own configuration says of
   * the nodes that the cluster has begun with goes before that; one that has joined was told of
   * some nodes only to find the others.
   */
  public ClusterMap with(Collection<Member> told) {
    Map<Integer, Member> all = new TreeMap<>();
    told.forEach(member -> all.put(member.number, member));
    for (Member member : members) {
      if (!joined || member.number == self || !all.containsKey(member.number)) {
        Member _ = all.put(member.number, member);
      }
    }
    return new ClusterMap(name, self, isNew, joined, List.copyOf(all.values()));
  }

  /** Returns that of a node which is in no cluster. */
  public static ClusterMap alone() {
    return new ClusterMap("", 0, false, List.of());
  }

  /** Returns whether this node is in no cluster. */
  public boolean isAlone() {
    return members.isEmpty();
  }

  /** Returns the identity that nodes tell each other, the same for the same name. */
  public UUID id() {
    return UUID.nameUUIDFromBytes(("plinth cluster " + name).getBytes(StandardCharsets.UTF_8));
  }

  /** Returns a node by its number. */
  public Optional<Member> member(int number) {
    return members.stream().filter(member -> member.number == number).findFirst();
  }

  /** Returns the numbers of all nodes. */
  public int[] numbers() {
    return members.stream().mapToInt(Member::number).toArray();
  }

  /**
   * Returns the nodes that the group of the catalogue begins with here. Who joins does not know who
   * its members were at the first entry: as it is none of them itself, it awaits a state.
   */
  public int[] first() {
    return members.stream()
        .mapToInt(Member::number)
        .filter(number -> !joined || number != self)
        .toArray();
  }

  /**
   * Returns the nodes that are to have replicas of a group: see {@link Placement}.
   *
   * @param inService which nodes may
   */
  public List<Integer> place(int group, int replicas, IntPredicate inService) {
    List<Placement.Candidate> candidates =
        members.stream()
            .filter(member -> inService.test(member.number))
            .map(member -> new Placement.Candidate(member.number, rack(member), 1))
            .toList();
    return Placement.choose(group, replicas, candidates);
  }

  /** Returns what fails together with a node: of which nothing is known, it is the node alone. */
  public static String rack(Member member) {
    return member.rack.isEmpty() ? "node " + member.number : member.rack;
  }
}
