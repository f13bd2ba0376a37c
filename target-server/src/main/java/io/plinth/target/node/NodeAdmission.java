package io.plinth.target.node;

import io.plinth.engine.api.Timers;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.NodeRole;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * Admits nodes to a cluster: the leader of the catalogue enters them there, once all other nodes
 * have said that they know the command. One that did not would stop at it. On log 0's core.
 *
 * <pre>
 *  kind        from      a
 *  34 ASKED    leader
 *  35 SPEAKS   any node  {@link Catalogue#LANGUAGE}
 * </pre>
 */
final class NodeAdmission {
  static final int ASKED = 34;
  static final int SPEAKS = 35;

  private static final long ASK_NS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final int MOST_ASKS = 20;

  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeMembership membership;
  private final Timers.Task timer = this::onTimer;

  /** Nodes that have not answered yet. */
  private final Set<Integer> silent = new TreeSet<>();

  private ClusterMap.Member joining;
  private CompletableFuture<List<String>> result;
  private int asks;

  NodeAdmission(NodeLogs logs, NodeCatalogue catalogue, NodeMembership membership) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.membership = membership;
  }

  /**
   * Admits a node.
   *
   * @param member as the other nodes are to reach it, without names that have to be looked up
   */
  CompletableFuture<List<String>> admit(ClusterMap.Member member) {
    return catalogue.onCore(asked -> {
      requireCluster();
      catalogue.requireLead();
      if (isAdmitted(member) && catalogue.role(member.number()).equals(NodeRole.JOINING)) {
        asked.complete(List.of("it was admitted before"));
        return;
      }
      requireFit(member);
      if (joining != null) {
        throw refused(
            NodeException.Reason.IN_USE, "node " + joining.number() + " is being admitted");
      }
      joining = member;
      result = asked;
      asks = 0;
      silent.clear();
      for (int node : membership.cluster().numbers()) {
        NodeRole.Kind kind = catalogue.role(node).kind();
        // Who joins knows how nodes do.
        boolean counts = kind != NodeRole.Kind.REMOVED && kind != NodeRole.Kind.JOINING;
        boolean _ = counts && node != membership.cluster().self() && silent.add(node);
      }
      if (silent.isEmpty()) {
        enter();
      } else {
        ask();
      }
    });
  }

  private static NodeException refused(NodeException.Reason reason, String message) {
    return new NodeException(reason, message);
  }

  private void requireCluster() throws NodeException {
    if (membership.isAlone()) {
      throw refused(
          NodeException.Reason.NOT_FOUND,
          "this node is in no cluster: its configuration has no [cluster]");
    }
  }

  private void requireFit(ClusterMap.Member member) throws NodeException {
    List<ClusterMap.Member> members = membership.cluster().members();
    for (ClusterMap.Member other : members) {
      if (other.number() == member.number()) {
        throw refused(
            NodeException.Reason.EXISTS,
            "there is a node " + other.number() + " already, at " + other.address(0));
      }
      boolean overlaps =
          other.host().equals(member.host())
              && Math.abs(other.port() - member.port()) < logs.count();
      if (overlaps) {
        throw refused(
            NodeException.Reason.EXISTS,
            member.address(0)
                + " is taken: node "
                + other.number()
                + " has "
                + logs.count()
                + " ports from "
                + other.address(0)
                + " on");
      }
      if (other.admin().equals(member.admin())) {
        throw refused(
            NodeException.Reason.EXISTS,
            member.admin() + " is taken: it is the admin API of node " + other.number());
      }
    }
    if (members.size() >= ClusterMap.MAXIMUM_MEMBERS) {
      throw refused(
          NodeException.Reason.INVALID,
          "a cluster has at most " + ClusterMap.MAXIMUM_MEMBERS + " nodes");
    }
    for (String text : List.of(member.host(), member.admin(), member.rack())) {
      if (text.getBytes(StandardCharsets.UTF_8).length > Catalogue.MAXIMUM_TEXT_BYTES) {
        throw refused(
            NodeException.Reason.INVALID,
            "an address or a rack is longer than " + Catalogue.MAXIMUM_TEXT_BYTES + " bytes");
      }
    }
    if (member.port() + logs.count() - 1 > 65_535) {
      throw refused(
          NodeException.Reason.INVALID,
          member.address(0) + " has no room for the " + logs.count() + " ports of a node");
    }
  }

  private boolean isAdmitted(ClusterMap.Member member) {
    Optional<Catalogue.Node> found =
        catalogue.nodes().stream()
            .filter(node -> node.member().number() == member.number())
            .findFirst();
    return found.isPresent() && found.get().member().equals(member);
  }

  private void ask() {
    for (int node : silent) {
      ResyncFrame frame = logs.first().store().resyncs().begin(ASKED, 0).bytes(0);
      boolean _ = catalogue.replica().sendResync(node, frame);
    }
    long nowNs = logs.first().core().clock().nowNs();
    long _ = logs.first().core().timers().schedule(nowNs + ASK_NS, timer);
  }

  private void onTimer(long nowNs) {
    if (joining == null || silent.isEmpty()) {
      return;
    }
    if (++asks < MOST_ASKS) {
      ask();
      return;
    }
    String nodes = silent.stream().map(String::valueOf).collect(Collectors.joining(", "));
    fail(
        refused(
            NodeException.Reason.INVALID,
            (silent.size() == 1 ? "node " : "nodes ")
                + nodes
                + " can't be heard, or can't read what admits a node: all nodes must run, with this"
                + " version, when one joins"));
  }

  private void fail(NodeException why) {
    CompletableFuture<List<String>> asked = result;
    joining = null;
    result = null;
    boolean _ = asked.completeExceptionally(why);
  }

  /** Another node asks which commands this one knows, or says which ones it does. */
  void onFrame(int node, ResyncFrame frame) {
    if (frame.kind() == ASKED) {
      ResyncFrame answer = logs.first().store().resyncs().begin(SPEAKS, 0).bytes(0);
      boolean _ = catalogue.replica().sendResync(node, answer.a(Catalogue.LANGUAGE));
    } else if (joining != null
        && frame.a() >= Catalogue.LANGUAGE
        && silent.remove(node)
        && silent.isEmpty()) {
      enter();
    }
  }

  private void enter() {
    ClusterMap.Member member = joining;
    List<Catalogue.Node> told = new ArrayList<>();
    if (catalogue.nodes().isEmpty()) {
      membership.cluster().members().forEach(first -> told.add(new Catalogue.Node(first, true)));
    }
    told.add(new Catalogue.Node(member, false));
    catalogue.propose(
        Catalogue.encodeNodes(told, member.number()),
        status -> {
          if (status != 0) {
            fail(NodeException.ofStatus(status));
          } else if (!isAdmitted(member)) {
            fail(
                refused(
                    NodeException.Reason.EXISTS,
                    "another node has taken its number or address meanwhile"));
          } else {
            CompletableFuture<List<String>> asked = result;
            joining = null;
            result = null;
            boolean _ = asked.complete(List.of());
          }
        });
  }
}
