package io.plinth.target.admin;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import java.util.Locale;

/**
 * A cluster as one of its nodes sees it.
 *
 * @param name of the cluster
 * @param node the one that was asked
 * @param leader the node that leads the catalogue; null when none is known
 * @param volumes how many the catalogue has
 * @param cores how many each node has, all the same
 * @param voters the nodes that vote for the leader of the catalogue; the others learn it
 * @param members all nodes
 * @param summary how it is, and what follows from that, for a person
 */
public record ClusterInfo(
    String name,
    int node,
    Integer leader,
    int volumes,
    int cores,
    List<Integer> voters,
    List<MemberInfo> members,
    List<String> summary) {
  /** Copies the lists. */
  public ClusterInfo {
    voters = List.copyOf(voters);
    members = List.copyOf(members);
    summary = List.copyOf(summary);
  }

  /** How a node is, as the one that was asked sees it. */
  public enum State {
    /** It is the one that was asked. */
    SELF,
    /** Its log 0 is connected to ours. */
    REACHABLE,
    /** It is not. */
    UNREACHABLE;

    /** Returns the word used in JSON, such as {@code reachable}. */
    @JsonValue
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A node.
   *
   * @param node its number
   * @param state how it is
   * @param address where its peers reach its log 0
   * @param admin its admin API
   * @param rack what fails together with it; empty when that is not known
   */
  public record MemberInfo(int node, State state, String address, String admin, String rack) {}
}
