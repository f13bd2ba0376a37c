package io.plinth.target.node;

import io.plinth.engine.api.Timers;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.volume.LogVolume;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * Whether a volume that is to be deleted is in use on any node. The leader of the catalogue asks
 * all that can be reached. Who can't be reached has no clients that are served as long as a
 * majority of the volume's members can: without that nobody knows. On log 0's core.
 *
 * <pre>
 *  kind      from      session  leaf   tree    a        b
 *  37 ASKED  leader    number   group
 *  38 TOLD   any node  number   group  others  clients  snapshots
 * </pre>
 */
final class VolumeUse {
  static final int ASKED = 37;
  static final int TOLD = 38;

  private static final long ASK_NS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final int MOST_ASKS = 20;

  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;
  private final NodeMembership membership;
  private final boolean asksNobody;
  private final Timers.Task timer = this::onTimer;
  private final Map<Long, Question> questions = new TreeMap<>();
  private long nextNumber = 1;

  /**
   * What a node says.
   *
   * @param clients that are attached there
   * @param others how many other nodes have clients, if the node leads the volume; else -1
   * @param snapshots what its replica has, as far as it knows; 0 without one
   */
  private record Use(int clients, int others, int snapshots) {}

  private static final class Question {
    private final Catalogue.Entry entry;
    private final CompletableFuture<Void> result;
    private final Set<Integer> silent = new TreeSet<>();
    private final Map<Integer, Use> uses = new TreeMap<>();
    private int asks;

    Question(Catalogue.Entry entry, CompletableFuture<Void> result) {
      this.entry = entry;
      this.result = result;
    }
  }

  /**
   * Creates this part of a node.
   *
   * @param bugs none except in tests
   */
  VolumeUse(
      NodeLogs logs,
      NodeCatalogue catalogue,
      NodeVolumes volumes,
      NodeMembership membership,
      ClusterBugs bugs) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
    this.membership = membership;
    this.asksNobody = bugs.has(CatalogueBug.USE_ELSEWHERE_IGNORED);
  }

  /** Completes on the core when nobody uses the volume; fails with a {@link NodeException}. */
  CompletableFuture<Void> requireNone(Catalogue.Entry entry) {
    Question question = new Question(entry, new CompletableFuture<>());
    int self = membership.cluster().self();
    Use own = here(entry.group());
    if (asksNobody && own.clients == 0) {
      question.result.complete(null);
      return question.result;
    }
    Use _ = question.uses.put(self, own);
    for (int node : membership.cluster().numbers()) {
      boolean counts = node != self && isReachable(node);
      boolean _ = counts && question.silent.add(node);
    }
    if (question.silent.isEmpty()) {
      judge(question);
      return question.result;
    }
    boolean isFirst = questions.isEmpty();
    long number = nextNumber++;
    Question _ = questions.put(number, question);
    ask(number, question);
    if (isFirst) {
      time();
    }
    return question.result;
  }

  private boolean isReachable(int node) {
    return logs.first().replicator().isReachable(node);
  }

  private void ask(long number, Question question) {
    for (int node : question.silent) {
      ResyncFrame frame = logs.first().store().resyncs().begin(ASKED, number).bytes(0);
      boolean _ = catalogue.replica().sendResync(node, frame.leaf(question.entry.group()));
    }
  }

  private void time() {
    long nowNs = logs.first().core().clock().nowNs();
    long _ = logs.first().core().timers().schedule(nowNs + ASK_NS, timer);
  }

  private void onTimer(long nowNs) {
    List<Question> over = new ArrayList<>();
    Iterator<Map.Entry<Long, Question>> all = questions.entrySet().iterator();
    while (all.hasNext()) {
      Map.Entry<Long, Question> one = all.next();
      Question question = one.getValue();
      boolean _ = question.silent.removeIf(node -> !isReachable(node));
      if (question.silent.isEmpty() || ++question.asks >= MOST_ASKS) {
        all.remove();
        over.add(question);
      } else {
        ask(one.getKey(), question);
      }
    }
    if (!questions.isEmpty()) {
      time();
    }
    over.forEach(this::judge);
  }

  /** Another node asks, or answers. */
  void onFrame(int node, ResyncFrame frame) {
    if (frame.kind() == ASKED) {
      Use use = here((int) frame.leaf());
      ResyncFrame answer = logs.first().store().resyncs().begin(TOLD, frame.session()).bytes(0);
      boolean _ =
          catalogue
              .replica()
              .sendResync(
                  node, answer.leaf(frame.leaf()).tree(use.others).a(use.clients).b(use.snapshots));
      return;
    }
    Question question = questions.get(frame.session());
    if (question != null && question.silent.remove(node)) {
      Use _ = question.uses.put(node, new Use((int) frame.a(), frame.tree(), (int) frame.b()));
      if (question.silent.isEmpty()) {
        Question _ = questions.remove(frame.session());
        judge(question);
      }
    }
  }

  private Use here(int group) {
    ShownVolume volume = volumes.find(group);
    if (volume == null) {
      return new Use(0, -1, 0);
    }
    int clients = volume.export().attachmentCount();
    LogVolume local = volume.local();
    if (local == null) {
      return new Use(clients, -1, 0);
    }
    boolean leads = local.group().standing().leader() == membership.cluster().self();
    // The facade is one of those that are attached to the replica, while it has clients.
    int others = Math.max(0, local.attachmentCount() - (clients > 0 ? 1 : 0));
    return new Use(clients, leads ? others : -1, local.visibleSnapshots().size());
  }

  private void judge(Question question) {
    String why = why(question);
    boolean _ =
        why == null
            ? question.result.complete(null)
            : question.result.completeExceptionally(
                new NodeException(NodeException.Reason.IN_USE, why));
  }

  /** Returns what speaks against a deletion, or null. */
  private static String why(Question question) {
    String volume = "volume " + question.entry.name();
    List<String> users = new ArrayList<>();
    int others = -1;
    int snapshots = 0;
    for (Map.Entry<Integer, Use> one : question.uses.entrySet()) {
      Use use = one.getValue();
      if (use.clients > 0) {
        users.add(use.clients + " connections to node " + one.getKey());
      }
      if (use.others >= 0) {
        // The others may not have all that it has done.
        others = use.others;
        snapshots = use.snapshots;
      } else if (others < 0) {
        snapshots = Math.max(snapshots, use.snapshots);
      }
    }
    if (users.isEmpty() && others > 0) {
      users.add("clients of " + others + " other nodes, as the one says that leads it");
    }
    if (!users.isEmpty()) {
      return volume
          + " is in use by "
          + String.join(" and ", users)
          + "; disconnect them or force it";
    }
    if (snapshots > 0) {
      return volume + " has " + snapshots + " snapshots; delete them or force it";
    }
    List<Integer> members = question.entry.members();
    List<Integer> unheard =
        members.stream().filter(node -> !question.uses.containsKey(node)).toList();
    if (!question.silent.isEmpty() || 2 * unheard.size() >= members.size()) {
      Collection<Integer> nodes = question.silent.isEmpty() ? unheard : question.silent;
      return "whether "
          + volume
          + " is in use can't be told, as these nodes do not answer: "
          + nodes.stream().map(String::valueOf).collect(Collectors.joining(", "))
          + "; force it if it is not";
    }
    return null;
  }
}
