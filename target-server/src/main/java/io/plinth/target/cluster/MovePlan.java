package io.plinth.target.cluster;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * Which replicas are to move, by what the catalogue has and how the nodes are: from nodes that are
 * to have none, to others that have no replica of the volume. One replica of a volume at a time.
 *
 * @param moves that can begin, those first that turn back what is wanted no more
 * @param blocked what should move and can't, in words
 */
public record MovePlan(List<Move> moves, List<Blocked> blocked) {
  /**
   * How a node is, as far as it matters here.
   *
   * @param node its number
   * @param rack what fails together with it
   * @param takes whether it may get replicas: it is in service, and can be reached
   * @param heard whether it is heard now: else nothing is begun there
   * @param leaves whether its replicas are to go elsewhere
   * @param replacement the node that should get them; 0 for any
   */
  public record NodeView(
      int node, String rack, boolean takes, boolean heard, boolean leaves, int replacement) {}

  /**
   * A move that can begin.
   *
   * @param entry the volume as it is
   * @param from the node that goes; 0 when an earlier move is turned back
   * @param to the node that comes; 0 then
   * @param target the nodes that are to have replicas
   */
  public record Move(Catalogue.Entry entry, int from, int to, List<Integer> target) {}

  /** Why a replica of a volume stays on a node that it should leave. */
  public record Blocked(String volume, int node, String why) {}

  /** Copies the lists. */
  public MovePlan {
    moves = List.copyOf(moves);
    blocked = List.copyOf(blocked);
  }

  /** Returns what is to be done, if nothing limits how much at a time. */
  public static MovePlan of(Collection<Catalogue.Entry> entries, List<NodeView> nodes) {
    List<Move> moves = new ArrayList<>();
    List<Move> back = new ArrayList<>();
    List<Blocked> blocked = new ArrayList<>();
    for (Catalogue.Entry entry : entries) {
      if (entry.isMoving()) {
        if (!isStillRight(entry, nodes)) {
          back.add(new Move(entry, 0, 0, entry.members()));
        }
        continue;
      }
      nodes.stream()
          .filter(node -> node.leaves && entry.members().contains(node.node))
          .findFirst()
          .ifPresent(leaver -> plan(entry, leaver, nodes, moves, blocked));
    }
    back.addAll(moves);
    return new MovePlan(back, blocked);
  }

  /** Whether those that come may, and those that go shall. */
  private static boolean isStillRight(Catalogue.Entry entry, List<NodeView> nodes) {
    for (NodeView node : nodes) {
      boolean was = entry.members().contains(node.node);
      boolean will = entry.target().contains(node.node);
      if ((will && !was && !node.takes) || (was && !will && !node.leaves)) {
        return false;
      }
    }
    return true;
  }

  private static void plan(
      Catalogue.Entry entry,
      NodeView leaver,
      List<NodeView> nodes,
      List<Move> moves,
      List<Blocked> blocked) {
    int replicas = entry.members().size();
    if (replicas == 1) {
      blocked.add(
          new Blocked(
              entry.name(),
              leaver.node,
              "it is the only replica, and only volumes with several can be moved"));
      return;
    }
    List<NodeView> free =
        nodes.stream()
            .filter(node -> node.takes && node.heard && !entry.members().contains(node.node))
            .toList();
    if (free.isEmpty()) {
      long able = nodes.stream().filter(node -> node.takes && !node.leaves).count();
      blocked.add(
          new Blocked(
              entry.name(),
              leaver.node,
              "there is nowhere to go: "
                  + replicas
                  + " replicas need as many nodes in service, and there are "
                  + able));
      return;
    }
    Optional<NodeView> wanted =
        free.stream().filter(node -> node.node == leaver.replacement).findFirst();
    List<Integer> staying =
        entry.members().stream().filter(member -> member != leaver.node).toList();
    int to =
        wanted.isPresent()
            ? wanted.get().node
            : Placement.another(
                entry.group(),
                candidates(nodes.stream().filter(n -> staying.contains(n.node)).toList()),
                candidates(free));
    List<Integer> target = new ArrayList<>(staying);
    target.add(to);
    moves.add(new Move(entry, leaver.node, to, target));
  }

  private static List<Placement.Candidate> candidates(List<NodeView> nodes) {
    return nodes.stream().map(node -> new Placement.Candidate(node.node, node.rack, 1)).toList();
  }
}
