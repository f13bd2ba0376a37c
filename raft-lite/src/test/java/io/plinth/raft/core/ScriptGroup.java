package io.plinth.raft.core;

import java.util.ArrayList;
import java.util.List;

/** A group whose every step a script decides: nothing is delivered or stored unless it says so. */
final class ScriptGroup {
  /** One replica, its disk, and what it has asked of its disk. */
  private static final class Node {
    final int id;
    RaftCore core;
    boolean up;
    long incarnation;
    long term;
    int vote = RaftCore.NO_NODE;
    boolean recovering;
    boolean lostDisk;
    List<Cluster.Entry> page = new ArrayList<>();
    int durable;
    final List<Message> hardStates = new ArrayList<>();
    final List<List<Cluster.Entry>> appends = new ArrayList<>();
    final List<Long> firsts = new ArrayList<>();
    long ticket;

    Node(int id) {
      this.id = id;
    }
  }

  private final List<Node> nodes = new ArrayList<>();
  private final List<Message> network = new ArrayList<>();
  private final List<Message> held = new ArrayList<>();
  private List<String> out = new ArrayList<>();
  private RaftConfig config = RaftConfig.defaults(AckPolicy.APPENDED);
  private Membership members = Membership.of(1);
  private boolean quiet;
  private int quietTicks;

  List<String> run(String[] words) {
    out = new ArrayList<>();
    int a = words.length > 1 ? number(words[1]) : 0;
    int b = words.length > 2 ? number(words[2]) : 0;
    switch (words[0]) {
      case "group" -> {
        create(a, words.length > 2 ? words[2] : "appended");
        if (words.length > 3) {
          for (int i = 0; i < number(words[3]); i++) {
            start(add(nodes.size() + 1), false);
          }
        }
      }
      case "quiet-after" -> {
        quietTicks = a;
        config = config.withQuietTicks(a);
      }
      case "away", "back" -> {
        node(a).core.onNode(b, words[0].equals("back"));
        drain(node(a));
      }
      case "tick" -> {
        for (int i = 0; i < b; i++) {
          node(a).core.tick();
          drain(node(a));
        }
      }
      case "deliver" -> deliver(a, true);
      case "drop" -> deliver(a, false);
      case "hold" -> {
        held.addAll(network);
        network.clear();
      }
      case "release" -> {
        network.addAll(held);
        held.clear();
      }
      case "hard" -> hard(node(a));
      case "appended" -> appended(node(a));
      case "durable" -> durable(node(a));
      case "settle" -> settle();
      case "elect" -> elect(a);
      case "propose" ->
          result(node(a), node(a).core.propose(b, words.length > 3 ? number(words[3]) : 1));
      case "change" ->
          result(
              node(a), node(a).core.proposeChange(EntryKind.valueOf(words[2]), number(words[3])));
      case "read" -> result(node(a), node(a).core.read(b));
      case "transfer" -> result(node(a), node(a).core.transferLeadership(b) ? 0 : -1);
      case "campaign" -> {
        node(a).core.campaign();
        drain(node(a));
      }
      case "refusal" -> out.add("= " + node(a).core.refusal(b));
      case "compact" -> node(a).core.compact(b);
      case "restore" -> restore(node(a), node(b), number(words[3]), words.length > 4);
      case "resynced" -> {
        node(a).core.resynced(b, number(words[3]), node(b).recovering);
        drain(node(a));
      }
      case "unreadable" -> {
        node(a).core.unreadable(b, number(words[3]));
        drain(node(a));
      }
      case "needs" -> out.add("= " + node(a).core.needsResync(b));
      case "kill" -> {
        node(a).up = false;
        node(a).appends.clear();
        node(a).firsts.clear();
        node(a).hardStates.clear();
      }
      case "start" -> start(node(a), false);
      case "powerfail" -> {
        Node node = node(a);
        node.up = false;
        node.appends.clear();
        node.firsts.clear();
        node.hardStates.clear();
        node.page = new ArrayList<>(node.page.subList(0, node.durable));
        start(node, true);
      }
      case "lose-disk" -> {
        Node node = node(a);
        node.up = false;
        node.appends.clear();
        node.firsts.clear();
        node.hardStates.clear();
        node.page = new ArrayList<>();
        node.durable = 0;
        node.term = 0;
        node.vote = RaftCore.NO_NODE;
        node.recovering = true;
        node.lostDisk = true;
        start(node, true);
      }
      case "state" -> {
        for (Node node : nodes) {
          out.add(node.id + ": " + (node.up ? CoreText.state(node.core) : "down"));
        }
      }
      case "members" -> out.add(node(a).core.membership().toString());
      default -> throw new IllegalArgumentException(words[0]);
    }
    return out;
  }

  private static int number(String word) {
    return Character.isDigit(word.charAt(0)) ? Integer.parseInt(word) : 0;
  }

  private Node node(int id) {
    return nodes.get(id - 1);
  }

  private Node add(int id) {
    Node node = new Node(id);
    nodes.add(node);
    return node;
  }

  private void create(int voters, String policy) {
    AckPolicy ack = policy.equals("durable") ? AckPolicy.DURABLE : AckPolicy.APPENDED;
    config = new RaftConfig(10, 2, ack, 2, 4, 100, 8, 2, 20, quietTicks);
    int[] ids = new int[voters];
    for (int i = 0; i < voters; i++) {
      ids[i] = i + 1;
    }
    members = Membership.of(ids);
    for (int id : ids) {
      start(add(id), false);
    }
  }

  /** Gives a node the state of another one as of an entry: its log begins there. */
  private void restore(Node node, Node from, int index, boolean recovering) {
    EntryLog source = from.core.log();
    node.recovering = recovering;
    node.page = new ArrayList<>(from.page.subList(0, index));
    node.durable = index;
    start(node, false, new EntryLog(index, source.term(index), source.epoch(index)));
  }

  private void start(Node node, boolean machineCrashed) {
    EntryLog log = new EntryLog(0, 0, 0);
    for (Cluster.Entry e : node.page) {
      log.append(e.term(), e.kind(), e.subject(), e.place(), 1);
    }
    start(node, machineCrashed, log);
  }

  private void start(Node node, boolean machineCrashed, EntryLog log) {
    RaftStart start =
        new RaftStart(
            node.id,
            ++node.incarnation,
            node.term,
            node.vote,
            node.recovering,
            node.lostDisk,
            machineCrashed,
            members,
            log,
            node.durable);
    // Timeouts differ by the node's number: 10 ticks for node 1, 12 for node 2, and so on.
    node.core = new RaftCore(config, start, () -> (node.id - 1) * 2L);
    node.ticket = 0;
    node.up = true;
    drain(node);
  }

  private void result(Node node, long result) {
    out.add("= " + result);
    drain(node);
  }

  private void drain(Node node) {
    Actions actions = node.core.actions();
    for (int i = 0; i < actions.size(); i++) {
      Action action = actions.get(i);
      boolean routine = true;
      switch (action.kind()) {
        case SEND -> network.add(new Message().copyFrom(action.message()));
        case APPEND -> {
          List<Cluster.Entry> entries = new ArrayList<>();
          EntryLog log = node.core.log();
          for (long index = action.firstIndex(); index <= action.index(); index++) {
            entries.add(
                new Cluster.Entry(
                    log.term(index), log.kind(index), log.subject(index), log.place(index)));
          }
          node.appends.add(entries);
          node.firsts.add(action.firstIndex());
        }
        case PERSIST_HARD_STATE ->
            node.hardStates.add(
                new Message()
                    .hardStateDurable(node.id, action.term(), action.node(), action.recovering()));
        default -> routine = false;
      }
      if (!quiet || !routine) {
        out.add(node.id + ": " + CoreText.action(action));
      }
    }
    actions.clear();
  }

  private void deliver(int to, boolean arrives) {
    List<Message> now = new ArrayList<>(network);
    network.clear();
    for (Message message : now) {
      if (to != 0 && message.to != to) {
        network.add(message);
      } else if (arrives && node(message.to).up) {
        node(message.to).core.step(message);
        drain(node(message.to));
      }
    }
  }

  private void hard(Node node) {
    List<Message> states = new ArrayList<>(node.hardStates);
    node.hardStates.clear();
    for (Message state : states) {
      node.term = state.term;
      node.vote = state.vote;
      node.recovering = state.recovering;
      node.lostDisk &= state.recovering;
      node.core.step(state);
      drain(node);
    }
  }

  private void appended(Node node) {
    for (int i = 0; i < node.appends.size(); i++) {
      int first = (int) (long) node.firsts.get(i);
      node.page.subList(first - 1, node.page.size()).clear();
      node.durable = Math.min(node.durable, first - 1);
      node.page.addAll(node.appends.get(i));
      node.ticket++;
    }
    boolean any = !node.appends.isEmpty();
    node.appends.clear();
    node.firsts.clear();
    if (any) {
      node.core.step(new Message().appendedUpTo(node.id, node.ticket, node.page.size()));
      drain(node);
    }
  }

  private void durable(Node node) {
    if (node.durable < node.page.size()) {
      node.durable = node.page.size();
      node.core.step(new Message().durableUpTo(node.id, node.ticket, node.page.size()));
      drain(node);
    }
  }

  /** Stores and delivers until nothing is left to do; prints what is not routine. */
  private void settle() {
    quiet = true;
    boolean busy = true;
    while (busy) {
      busy = !network.isEmpty();
      deliver(0, true);
      for (Node node : nodes) {
        if (node.up) {
          busy |= !node.hardStates.isEmpty() || !node.appends.isEmpty();
          hard(node);
          appended(node);
          durable(node);
        }
      }
    }
    quiet = false;
  }

  /** Time passes for all, until only this node's patience is at its end. */
  private void elect(int id) {
    quiet = true;
    for (Node node : nodes) {
      for (int i = 0; node.up && node.id != id && i < 10 && node.core.role() != Role.LEADER; i++) {
        if (node.core.electionElapsed < 9 || node.id > id) {
          node.core.tick();
        }
      }
    }
    while (node(id).core.role() == Role.FOLLOWER) {
      node(id).core.tick();
      drain(node(id));
    }
    settle();
  }
}
