package io.plinth.target.node;

import io.plinth.engine.api.Timers;
import io.plinth.log.replication.Replica;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.cluster.MovePlan;
import io.plinth.target.cluster.NodeCondition;
import io.plinth.target.cluster.NodeRole;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Resyncs;
import io.plinth.target.volume.VolumeGroup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Watches over the nodes of a cluster, and says where replicas are to be: by what people have asked
 * for, and when a node has not been heard for too long. The leader of the catalogue decides, by its
 * own clock; whoever leads next begins to count anew. The others tell it what it can't see, and
 * only if there is something to be told. On log 0's core.
 *
 * <pre>
 *  kind        from                     leaf      a          bytes
 *  32 PLACED   leader of a volume       group     number
 *  33 HEALTH   any node                           1 new      {@link HealthReport}
 *  34, 35      see {@link NodeAdmission}
 *  36 NODES    any node                                      {@link Catalogue#encodeNodes}
 *  37, 38      see {@link VolumeUse}
 * </pre>
 */
final class NodeKeeper {
  private static final Logger LOG = LoggerFactory.getLogger(NodeKeeper.class);
  private static final int PLACED = 32;
  private static final int HEALTH = 33;
  private static final int NODES = 36;

  /** So many volumes have a replica on its way at a time. */
  private static final int MOST_MOVES = 4;

  /** A member that lacks so many entries is worth a word. */
  private static final long BEHIND_ENTRIES = 8192;

  /** What was told is forgotten after so many looks. */
  private static final int REPORT_LOOKS = 8;

  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeReplicas replicas;
  private final NodeVolumes volumes;
  private final NodeMembership membership;
  private final KeeperSettings settings;
  private final VolumeUse use;
  private final NodeAdmission admission;
  private final CatalogueMembers members;
  private final Timers.Task timer = this::onTimer;
  private final Map<Integer, Told> reports = new TreeMap<>();

  /** Groups for which a command is on its way; that of the catalogue for where nodes are. */
  private final Set<Integer> asked = new TreeSet<>();

  /** With which connection, and which state of it, nodes were told where the others are. */
  private final Map<Integer, Long> introduced = new TreeMap<>();

  /** Nodes that are to be in service, for which a command is on its way. */
  private final Set<Integer> activating = new TreeSet<>();

  private boolean hasTold;
  private int looks;

  private record Told(HealthReport report, long atNs) {}

  NodeKeeper(
      NodeLogs logs,
      NodeCatalogue catalogue,
      NodeReplicas replicas,
      NodeVolumes volumes,
      NodeMembership membership,
      KeeperSettings settings,
      VolumeUse use) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.replicas = replicas;
    this.volumes = volumes;
    this.membership = membership;
    this.settings = settings;
    this.use = use;
    this.admission = new NodeAdmission(logs, catalogue, membership);
    this.members = new CatalogueMembers(logs, catalogue);
  }

  /** Begins to watch; all logs are open. */
  void start() {
    if (!membership.isAlone()) {
      catalogue.listen(this::onFrame);
      time();
    }
  }

  private void time() {
    long _ = logs.first().core().timers().schedule(nowNs() + settings.lookNs(), timer);
  }

  private long nowNs() {
    return logs.first().core().clock().nowNs();
  }

  private void onTimer(long nowNs) {
    boolean _ = catalogue.isCurrent();
    // What is told does not change as fast as what is to be done.
    if (looks++ % 2 == 0) {
      report();
    }
    introduce();
    if (leads()) {
      begin();
      members.step(membership.cluster().self());
      tellFirst();
    }
    time();
  }

  private boolean leads() {
    try {
      catalogue.requireLead();
      return true;
    } catch (NodeException e) {
      return false;
    }
  }

  // What the others tell.

  private void report() {
    HealthReport report = health();
    int leader = catalogue.leader();
    if (leader == membership.cluster().self()) {
      Told _ = reports.put(leader, new Told(report, nowNs()));
      hasTold = false;
    } else if (leader != Replica.NO_NODE && (hasTold || !report.isEmpty() || isJoining())) {
      byte[] bytes = report.encode();
      ResyncFrame frame = logs.first().store().resyncs().begin(HEALTH, 0);
      frame.body().putBytes(0, bytes);
      boolean sent =
          catalogue
              .replica()
              .sendResync(leader, frame.bytes(bytes.length).a(report.isNew() ? 1 : 0));
      hasTold = !sent || !report.isEmpty();
    }
  }

  /** Returns whether the others wait for this node to have the catalogue. */
  private boolean isJoining() {
    return catalogue.role(membership.cluster().self()).equals(NodeRole.JOINING);
  }

  /**
   * Tells each node once, when there is a connection with it or that has changed, where the others
   * are. It may have been away while one has joined, and that one may lead by now: then nobody else
   * can give it the catalogue, from which it would know.
   */
  private void introduce() {
    if (catalogue.nodes().isEmpty()) {
      return;
    }
    byte[] bytes = Catalogue.encodeNodes(catalogue.nodes(), 0);
    long content = (long) Arrays.hashCode(bytes) << Integer.SIZE;
    for (int node : membership.cluster().numbers()) {
      long opening = logs.first().replicator().openings(node) + content;
      boolean isNew = opening != introduced.getOrDefault(node, content);
      if (isNew && bytes.length <= ResyncFrame.MAX_BYTES) {
        ResyncFrame frame = logs.first().store().resyncs().begin(NODES, 0);
        frame.body().putBytes(0, bytes);
        if (catalogue.replica().sendResync(node, frame.bytes(bytes.length))) {
          Long _ = introduced.put(node, opening);
        }
      }
    }
  }

  private void onIntroduced(byte[] bytes) {
    try {
      Set<Integer> known = new TreeSet<>();
      IntStream.of(membership.cluster().numbers()).forEach(known::add);
      replicas.know(
          Catalogue.decodeNodes(bytes).stream()
              .filter(node -> !known.contains(node.member().number()))
              .toList());
    } catch (IllegalArgumentException e) {
      LOG.warn("a node says where the others are, and it makes no sense: {}", e.getMessage());
    }
  }

  private HealthReport health() {
    List<HealthReport.Problem> problems = new ArrayList<>();
    int self = membership.cluster().self();
    for (LogVolume volume : volumes.local()) {
      VolumeGroup.Standing standing = volume.group().standing();
      if (standing.stopped()) {
        problems.add(
            new HealthReport.Problem(
                self, volume.name(), "has stopped: the log of its node says why"));
      }
      for (int i = 0; i < standing.members().length; i++) {
        if (standing.behind()[i] > BEHIND_ENTRIES) {
          problems.add(
              new HealthReport.Problem(
                  standing.members()[i],
                  volume.name(),
                  "lacks " + standing.behind()[i] + " entries, and is sent them"));
        }
      }
    }
    for (NodeLog log : logs.all()) {
      for (Resyncs.Progress one : log.store().resyncs().progress()) {
        problems.add(new HealthReport.Problem(one.node(), one.volume(), one.text()));
      }
    }
    return new HealthReport(membership.isNew(), problems);
  }

  private void onFrame(int node, ResyncFrame frame) {
    switch (frame.kind()) {
      case PLACED -> placed((int) frame.leaf(), (int) frame.a());
      case HEALTH -> {
        byte[] bytes = new byte[frame.bytes()];
        frame.body().getBytes(0, bytes);
        HealthReport report = HealthReport.decode(frame.a() == 1, bytes);
        Told _ = reports.put(node, new Told(report, nowNs()));
        if (!report.isNew()) {
          activate(node);
        }
      }
      case NODES -> {
        byte[] bytes = new byte[frame.bytes()];
        frame.body().getBytes(0, bytes);
        onIntroduced(bytes);
      }
      case NodeAdmission.ASKED, NodeAdmission.SPEAKS -> admission.onFrame(node, frame);
      case VolumeUse.ASKED, VolumeUse.TOLD -> use.onFrame(node, frame);
      default -> {
        // Of a later version.
      }
    }
  }

  /** A node that was admitted has the catalogue, and has begun what that says. */
  private void activate(int node) {
    if (catalogue.role(node).equals(NodeRole.JOINING) && leads() && activating.add(node)) {
      catalogue.propose(
          Catalogue.encodeNode(node, NodeRole.IN_SERVICE), status -> activating.remove(node));
    }
  }

  /** Who has joined learns from the catalogue where the nodes are that were there before. */
  private void tellFirst() {
    ClusterMap cluster = membership.cluster();
    if (cluster.joined() || !asked.add(Catalogue.GROUP)) {
      return;
    }
    List<Catalogue.Node> moved = new ArrayList<>();
    for (Catalogue.Node node : catalogue.nodes()) {
      ClusterMap.Member member = cluster.member(node.member().number()).orElse(node.member());
      if (node.isFirst() && !member.equals(node.member())) {
        moved.add(new Catalogue.Node(member, true));
      }
    }
    if (moved.isEmpty()) {
      boolean _ = asked.remove(Catalogue.GROUP);
    } else {
      catalogue.propose(Catalogue.encodeNodes(moved, 0), status -> asked.remove(Catalogue.GROUP));
    }
  }

  /** The group of a volume has the members that its newest move wants, as its leader says. */
  void placed(int group, int number) {
    int leader = catalogue.leader();
    if (!leads()) {
      if (leader != Replica.NO_NODE && leader != membership.cluster().self()) {
        ResyncFrame frame = logs.first().store().resyncs().begin(PLACED, 0).bytes(0);
        boolean _ = catalogue.replica().sendResync(leader, frame.leaf(group).a(number));
      }
      return;
    }
    Catalogue.Entry entry = catalogue.find(group);
    if (entry != null && entry.isMoving() && entry.moves() == number) {
      propose(group, Catalogue.encodePlaced(group, number));
    }
  }

  /** One command for each group at a time. */
  private void propose(int group, byte[] command) {
    if (asked.add(group)) {
      catalogue.propose(command, status -> asked.remove(group));
    }
  }

  // What is to be done.

  private void begin() {
    MovePlan plan = plan(settings.rebuildNs());
    long under = catalogue.entries().stream().filter(Catalogue.Entry::isMoving).count();
    for (MovePlan.Move move : plan.moves()) {
      Catalogue.Entry entry = move.entry();
      boolean isNew = move.to() != 0;
      if ((isNew && under >= MOST_MOVES) || asked.contains(entry.group())) {
        continue;
      }
      under += isNew ? 1 : 0;
      LOG.info(
          "volume {} (group {}): {}",
          entry.name(),
          entry.group(),
          isNew
              ? "its replica is to move from node " + move.from() + " to node " + move.to()
              : "its replicas are to stay where they were");
      propose(entry.group(), Catalogue.encodeMove(entry.group(), entry.moves() + 1, move.target()));
    }
  }

  /** Returns what would be done if nodes were given up that are not heard for so long. */
  private MovePlan plan(long givenUpNs) {
    return plan(givenUpNs, 0, NodeRole.IN_SERVICE);
  }

  private MovePlan plan(long givenUpNs, int changed, NodeRole role) {
    List<MovePlan.NodeView> views = new ArrayList<>();
    for (ClusterMap.Member member : membership.cluster().members()) {
      int node = member.number();
      NodeRole present = node == changed ? role : catalogue.role(node);
      long silentNs = silentNs(node);
      boolean leaves = present.isLeaving() || silentNs >= givenUpNs;
      boolean takes = present.takesReplicas() && !leaves && silentNs < settings.unreachableNs();
      boolean heard = silentNs < settings.unreachableNs() / 4;
      views.add(
          new MovePlan.NodeView(
              node, ClusterMap.rack(member), takes, heard, leaves, present.replacement()));
    }
    return MovePlan.of(catalogue.entries(), views);
  }

  private long silentNs(int node) {
    return node == membership.cluster().self() ? 0 : logs.first().replicator().silentNs(node);
  }

  // How it is.

  /** Tells how the nodes are; asked of who leads the catalogue. */
  CompletableFuture<NodesStatus> status() {
    return catalogue.onCore(result -> {
      requireCluster();
      catalogue.requireLead();
      result.complete(statusNow());
    });
  }

  private void requireCluster() throws NodeException {
    if (membership.isAlone()) {
      throw new NodeException(
          NodeException.Reason.NOT_FOUND,
          "this node is in no cluster: its configuration has no [cluster]");
    }
  }

  private NodesStatus statusNow() {
    MovePlan feared = plan(Math.min(settings.unreachableNs(), settings.rebuildNs()));
    long oldestNs = nowNs() - REPORT_LOOKS * settings.lookNs();
    boolean _ = reports.values().removeIf(told -> told.atNs < oldestNs);
    List<NodeCondition> nodes = new ArrayList<>();
    for (int node : membership.cluster().numbers()) {
      nodes.add(NodeCondition.of(facts(node, feared), settings));
    }
    List<String> moves = new ArrayList<>();
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (entry.isMoving()) {
        moves.add(describe(entry));
      }
    }
    return new NodesStatus(nodes, moves);
  }

  private NodeCondition.Facts facts(int node, MovePlan feared) {
    int replicas = 0;
    int leaving = 0;
    for (Catalogue.Entry entry : catalogue.entries()) {
      boolean has = entry.nodes().contains(node);
      replicas += has ? 1 : 0;
      leaving += has && !entry.wanted().contains(node) ? 1 : 0;
    }
    Told told = reports.get(node);
    List<String> blocked =
        feared.blocked().stream()
            .filter(one -> one.node() == node)
            .map(one -> "the replica of volume " + one.volume() + " stays: " + one.why())
            .toList();
    return new NodeCondition.Facts(
        node,
        catalogue.role(node),
        silentNs(node),
        told != null && told.report.isNew(),
        replicas,
        leaving,
        problems(node),
        blocked);
  }

  /** Returns what was told of a node, but for replicas that are on their way there. */
  private List<String> problems(int node) {
    Set<String> lines = new TreeSet<>();
    for (Told told : reports.values()) {
      for (HealthReport.Problem problem : told.report.problems()) {
        Catalogue.Entry entry = catalogue.find(problem.volume());
        boolean comes = entry != null && !entry.members().contains(node);
        if (problem.node() == node && !comes) {
          lines.add("the replica of volume " + problem.volume() + " " + problem.text());
        }
      }
    }
    return List.copyOf(lines);
  }

  private String describe(Catalogue.Entry entry) {
    List<Integer> come = new ArrayList<>(entry.target());
    boolean _ = come.removeAll(entry.members());
    List<Integer> go = new ArrayList<>(entry.members());
    boolean _ = go.removeAll(entry.target());
    if (come.isEmpty() || go.isEmpty()) {
      return "volume " + entry.name() + ": a move is turned back";
    }
    String text =
        "volume " + entry.name() + ": from node " + go.getFirst() + " to node " + come.getFirst();
    for (Told told : reports.values()) {
      for (HealthReport.Problem problem : told.report.problems()) {
        if (problem.volume().equals(entry.name()) && come.contains(problem.node())) {
          return text + ": it " + problem.text();
        }
      }
    }
    return text;
  }

  // What people ask for.

  /**
   * Lets the replicas of a node go to others.
   *
   * @param replacement the node that should get them; 0 for any
   * @param dryRun only tells
   * @return what is to move, and what can't and why, a line each
   */
  CompletableFuture<List<String>> drain(int node, int replacement, boolean dryRun) {
    return catalogue.onCore(result -> {
      requireKnown(node);
      catalogue.requireLead();
      requireJoined(node);
      if (replacement != 0) {
        requireKnown(replacement);
        requireFit(node, replacement);
      }
      NodeRole role = new NodeRole(NodeRole.Kind.DRAINING, replacement);
      List<String> lines = describe(plan(settings.rebuildNs(), node, role), node);
      if (dryRun) {
        result.complete(lines);
      } else {
        set(node, role, lines, result);
      }
    });
  }

  private void requireFit(int node, int replacement) throws NodeException {
    String why = null;
    if (replacement == node) {
      why = "it is the node that is to be replaced";
    } else if (!catalogue.role(replacement).takesReplicas()) {
      why = "it is not in service";
    } else if (silentNs(replacement) >= settings.unreachableNs() / 4) {
      why = "it is not heard";
    }
    if (why != null) {
      throw new NodeException(
          NodeException.Reason.INVALID,
          "node " + replacement + " can't take the place of node " + node + ": " + why);
    }
  }

  private static List<String> describe(MovePlan plan, int node) {
    List<String> lines = new ArrayList<>();
    for (MovePlan.Move move : plan.moves()) {
      if (move.from() == node) {
        lines.add("volume " + move.entry().name() + ": to node " + move.to());
      }
    }
    for (MovePlan.Blocked one : plan.blocked()) {
      if (one.node() == node) {
        lines.add("volume " + one.volume() + " stays: " + one.why());
      }
    }
    return lines;
  }

  /**
   * Takes a node back into service, whatever it was. One that has joined may have been removed
   * before it had the catalogue: it joins once more.
   */
  CompletableFuture<List<String>> undrain(int node) {
    return catalogue.onCore(result -> {
      requireKnown(node);
      catalogue.requireLead();
      requireJoined(node);
      boolean joins =
          catalogue.role(node).kind() == NodeRole.Kind.REMOVED
              && catalogue.nodes().stream()
                  .anyMatch(known -> known.member().number() == node && !known.isFirst());
      set(node, joins ? NodeRole.JOINING : NodeRole.IN_SERVICE, List.of(), result);
    });
  }

  private void requireJoined(int node) throws NodeException {
    if (catalogue.role(node).equals(NodeRole.JOINING)) {
      throw new NodeException(
          NodeException.Reason.IN_USE,
          "node " + node + " joins, and has nothing yet: it may be removed");
    }
  }

  /** Admits a node: see {@link NodeAdmission}. */
  CompletableFuture<List<String>> admit(ClusterMap.Member member) {
    return admission.admit(member);
  }

  /**
   * Does without a node from now on.
   *
   * @param lost although it has replicas: they are rebuilt at once
   */
  CompletableFuture<List<String>> remove(int node, boolean lost) {
    return catalogue.onCore(result -> {
      requireKnown(node);
      catalogue.requireLead();
      long replicas =
          catalogue.entries().stream().filter(entry -> entry.nodes().contains(node)).count();
      if (replicas > 0 && !lost) {
        throw new NodeException(
            NodeException.Reason.IN_USE,
            "node "
                + node
                + " has "
                + replicas
                + " replicas: drain it first, or say that it is lost");
      }
      if (replicas > 0 && silentNs(node) < settings.unreachableNs() / 4) {
        throw new NodeException(
            NodeException.Reason.IN_USE,
            "node " + node + " is not lost: it is heard. Drain it instead");
      }
      NodeRole role = new NodeRole(NodeRole.Kind.REMOVED, 0);
      set(node, role, describe(plan(settings.rebuildNs(), node, role), node), result);
    });
  }

  private void requireKnown(int node) throws NodeException {
    requireCluster();
    if (membership.cluster().member(node).isEmpty()) {
      throw new NodeException(NodeException.Reason.NOT_FOUND, "there is no node " + node);
    }
  }

  private void set(
      int node, NodeRole role, List<String> lines, CompletableFuture<List<String>> result) {
    if (catalogue.role(node).equals(role)) {
      result.complete(lines);
      return;
    }
    catalogue.propose(
        Catalogue.encodeNode(node, role),
        status -> {
          if (status == 0) {
            result.complete(lines);
          } else {
            result.completeExceptionally(NodeException.ofStatus(status));
          }
        });
  }
}
