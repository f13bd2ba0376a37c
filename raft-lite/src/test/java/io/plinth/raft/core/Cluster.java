package io.plinth.raft.core;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;

/**
 * Cores, their disks and a bad network on one thread from one seed, and the checks of what Raft
 * promises. Time is in units of which a tick takes about 100. Nodes hear each other's beats, as
 * quiet groups need it.
 */
final class Cluster {
  static final class Violation extends RuntimeException {
    private static final long serialVersionUID = 1;

    Violation(String message) {
      super(message);
    }
  }

  record Entry(long term, EntryKind kind, int subject, long place) {}

  private record Event(long time, long sequence, Runnable what) {}

  private record PendingRead(int node, long floor) {}

  /** A replica with its disk. What the page cache holds outlives the process, not the machine. */
  final class Node {
    final int id;
    final long tickLength;
    RaftCore core;
    boolean up;
    int life;
    long incarnation;
    boolean machineCrashed;
    long diskTerm;
    int diskVote = RaftCore.NO_NODE;
    boolean diskRecovering;
    boolean diskLost;
    List<Entry> page = new ArrayList<>();
    List<Entry> device = new ArrayList<>();
    long lastIo;
    long lastPersist;
    long nextTick;
    long pausedUntil;
    final ArrayDeque<Runnable> deferred = new ArrayDeque<>();
    // By node: when and in which life its last beat was heard, and whether it is taken for dead.
    final long[] heardAt = new long[MAX_NODES];
    final int[] heardLife = new int[MAX_NODES];
    final boolean[] toldAway = new boolean[MAX_NODES];
    final long[] sentAt = new long[MAX_NODES];

    Node(int id) {
      this.id = id;
      // Up to 8 percent apart; the configuration allows for 20.
      tickLength = 96L + random.nextInt(9);
    }

    void start() {
      EntryLog log = new EntryLog(0, 0, 0);
      for (Entry entry : page) {
        log.append(entry.term, entry.kind, entry.subject, entry.place, 1);
      }
      SplittableRandom own = random.split();
      RaftStart start =
          new RaftStart(
              id,
              ++incarnation,
              diskTerm,
              diskVote,
              diskRecovering,
              diskLost,
              machineCrashed,
              Membership.of(firstVoters),
              log,
              durableNow());
      core = new RaftCore(config, start, own::nextLong, flaw);
      nextTick = now + tickLength;
      pausedUntil = 0;
      deferred.clear();
      Arrays.fill(heardAt, now);
      Arrays.fill(heardLife, 0);
      Arrays.fill(toldAway, false);
      machineCrashed = false;
      up = true;
      life++;
      lastIo = now;
      lastPersist = now;
      drain(this);
      syncTail();
      scheduleTick(life);
    }

    /** What was in the page cache when the process died is made durable by the next one. */
    private void syncTail() {
      int last = page.size();
      if (durableNow() < last) {
        io(
            random.nextInt(100),
            () -> {
              device = new ArrayList<>(page);
              core.step(new Message().durableUpTo(id, 0, last));
              drain(this);
            });
      }
    }

    private int durableNow() {
      int same = 0;
      while (same < Math.min(page.size(), device.size())
          && page.get(same).equals(device.get(same))) {
        same++;
      }
      return same;
    }

    void scheduleTick(int ofLife) {
      at(
          Math.max(nextTick, pausedUntil),
          () -> {
            if (up && life == ofLife) {
              if (!isPaused()) {
                resume();
                enter();
                watch();
              }
              scheduleTick(ofLife);
            }
          });
    }

    /** Gives the core the time that has passed, before anything else is told or asked. */
    void enter() {
      long due = nextTick > now ? 0 : (now - nextTick) / tickLength + 1;
      nextTick += due * tickLength;
      if (due > 0 && core.isQuiet()) {
        core.pass(due);
        return;
      }
      for (long i = 0; i < due; i++) {
        core.tick();
        drain(this);
      }
    }

    /** Tells the core of nodes that have not been heard for an election timeout. */
    private void watch() {
      for (Node other : nodes) {
        if (other != this && !toldAway[other.id] && now - heardAt[other.id] > DEAD_AFTER) {
          toldAway[other.id] = true;
          core.onNode(other.id, false);
          drain(this);
        }
      }
    }

    /** A beat, or anything else, has come from another node. */
    void hear(Node other, int ofLife) {
      heardAt[other.id] = now;
      boolean anew = heardLife[other.id] > 0 && heardLife[other.id] != ofLife;
      heardLife[other.id] = ofLife;
      if (anew) {
        core.onNode(other.id, false);
      }
      if (anew || toldAway[other.id]) {
        toldAway[other.id] = false;
        core.onNode(other.id, true);
      }
      drain(this);
    }

    boolean isPaused() {
      return now < pausedUntil;
    }

    void kill(boolean machine) {
      up = false;
      if (machine) {
        machineCrashed = true;
        // A part of what was not synced has reached the device all the same.
        int common = durableNow();
        List<Entry> left = new ArrayList<>(device);
        if (common == device.size() && page.size() > common) {
          left.addAll(page.subList(common, common + random.nextInt(page.size() - common + 1)));
        }
        page = left;
        device = new ArrayList<>(left);
      }
    }

    /** The machine has lost its power, and comes back with another disk. */
    void loseDisk() {
      kill(true);
      page = new ArrayList<>();
      device = new ArrayList<>();
      diskTerm = 0;
      diskVote = RaftCore.NO_NODE;
      diskRecovering = true;
      diskLost = true;
    }

    /** Storage works in order; what was not reached before a crash never happens. */
    void io(long delay, Runnable work) {
      int ofLife = life;
      lastIo = Math.max(lastIo, now + delay);
      at(lastIo, () -> whenAwake(ofLife, work));
    }

    /** Does something with the core as soon as the process runs, if it is still the same. */
    void whenAwake(int ofLife, Runnable work) {
      if (!up || life != ofLife) {
        return;
      }
      deferred.add(work);
      if (isPaused()) {
        at(pausedUntil, this::resume);
      } else {
        resume();
      }
    }

    /** Does what has come while the process stood still, in order. */
    void resume() {
      while (up && !isPaused() && !deferred.isEmpty()) {
        Runnable next = deferred.remove();
        enter();
        next.run();
      }
    }
  }

  private static final int MAX_NODES = 8;
  private static final int QUIET_TICKS = 4;
  private static final long BEAT = 200;
  private static final long DEAD_AFTER = 1000;

  final long seed;
  final SplittableRandom random;
  final RaftConfig config;
  final Flaw flaw;
  final int[] firstVoters;
  final List<Node> nodes = new ArrayList<>();
  private final PriorityQueue<Event> events =
      new PriorityQueue<>((a, b) ->
          a.time != b.time ? Long.compare(a.time, b.time) : Long.compare(a.sequence, b.sequence));
  private long now;
  private long sequence;
  private boolean calm;
  private boolean resting;
  private boolean deaf;
  private final Map<Integer, Integer> side = new HashMap<>();
  // Ways from one node to another on which nothing arrives.
  private final Set<List<Integer>> mute = new HashSet<>();

  // What the checks know.
  private final TreeMap<Long, Integer> leaders = new TreeMap<>();
  private final List<Entry> committed = new ArrayList<>();
  // In which terms: an entry may be much older.
  private final List<Long> committedIn = new ArrayList<>();
  private long flushed;
  private long epochTerm;
  private final Map<Long, PendingRead> reads = new HashMap<>();
  private long nextRead;
  private long nextPlace = 1;
  int commits;
  int grantedReads;
  int raisedEpochs;
  int lostEntries;
  int rests;

  Cluster(long seed, int voters, AckPolicy policy, Flaw flaw) {
    this.seed = seed;
    this.flaw = flaw;
    random = new SplittableRandom(seed);
    config = new RaftConfig(10, 2, policy, 4, 16, 12, 64, 16, 20, QUIET_TICKS);
    firstVoters = new int[voters];
    for (int i = 0; i < voters; i++) {
      firstVoters[i] = i + 1;
    }
    for (int id = 1; id <= voters + 1; id++) {
      nodes.add(new Node(id));
    }
    nodes.forEach(Node::start);
  }

  void run(int length, boolean crashes) {
    after(50, this::work);
    after(BEAT, this::beat);
    after(500, () -> trouble(crashes));
    runUntil(length);
    calm = true;
    side.clear();
    mute.clear();
    for (Node node : nodes) {
      if (!node.up) {
        node.start();
      }
    }
    // Everyone is well: the group must find a leader, commit, and be of one mind.
    runUntil(now + 12_000);
    checkConvergence();
    checkRest();
  }

  /**
   * A leader and one other voter have all that was flushed. The other one loses its disk, and has
   * some of that again, or all, when all lose their power; then the leader is not there for long.
   */
  void runWithLostDisk() {
    calm = true;
    after(50, this::work);
    after(BEAT, this::beat);
    runUntil(3000);
    Node keeper = leader();
    Node loser = nodes.get(keeper.id % firstVoters.length);
    side.put(loser.id, 1);
    side.put(keeper.id, 1);
    runUntil(now + 1500);
    loser.loseDisk();
    loser.start();
    runUntil(now + random.nextInt(600));
    for (Node node : nodes) {
      node.kill(true);
    }
    side.clear();
    for (Node node : nodes) {
      if (node != keeper) {
        node.start();
      }
    }
    runUntil(now + 10_000);
    keeper.start();
    runUntil(now + 12_000);
    checkConvergence();
  }

  private void runUntil(long end) {
    while (!events.isEmpty() && events.peek().time <= end) {
      Event event = events.poll();
      now = event.time;
      event.what.run();
    }
    now = end;
  }

  private void at(long time, Runnable what) {
    events.add(new Event(time, sequence++, what));
  }

  private void after(long delay, Runnable what) {
    at(now + delay, what);
  }

  /** Nodes tell each other that they live. */
  private void beat() {
    for (Node from : nodes) {
      for (Node to : nodes) {
        boolean lost = !calm && random.nextInt(20) == 0;
        if (from != to && from.up && !from.isPaused() && !lost) {
          int life = from.life;
          after(1L + random.nextInt(30), () -> arrive(from, to, () -> to.hear(from, life)));
        }
      }
    }
    after(BEAT, this::beat);
  }

  private void arrive(Node from, Node to, Runnable what) {
    boolean apart =
        !side.getOrDefault(from.id, 0).equals(side.getOrDefault(to.id, 0))
            || mute.contains(List.of(from.id, to.id));
    if (!apart && !deaf) {
      to.whenAwake(to.life, what);
    }
  }

  /** Proposals and reads at whoever thinks that it leads; at times nothing for long. */
  private void work() {
    if (resting) {
      return;
    }
    if (!calm && rests() && random.nextInt(25) == 0) {
      after(500 + random.nextInt(4000), this::work);
      return;
    }
    for (Node node : nodes) {
      if (!node.up || node.isPaused() || random.nextInt(3) == 0) {
        continue;
      }
      node.resume();
      node.enter();
      rests += node.core.quiescence.isQuiet() && node.core.role() == Role.LEADER ? 1 : 0;
      boolean proposes = node.core.role() == Role.LEADER && random.nextInt(3) > 0;
      if (proposes) {
        for (int i = random.nextInt(4); i >= 0; i--) {
          long _ = node.core.propose(nextPlace++, 1);
        }
      }
      read(node);
    }
    after(20 + random.nextInt(100), this::work);
  }

  /** In some runs there is always something to do, and processes do not stand still. */
  private boolean rests() {
    return seed % 3 > 0;
  }

  private void read(Node node) {
    long id = nextRead++;
    reads.put(id, new PendingRead(node.id, committed.size()));
    if (node.core.read(id) != 0) {
      reads.remove(id);
    }
    drain(node);
  }

  private void trouble(boolean crashes) {
    if (calm) {
      return;
    }
    Node node = nodes.get(random.nextInt(nodes.size()));
    int what = random.nextInt(crashes ? 12 : 6);
    if (rests() && random.nextInt(4) == 0) {
      stall(node);
      what = -1;
    }
    switch (what) {
      case 0 -> {
        side.clear();
        for (Node other : nodes) {
          side.put(other.id, random.nextInt(2));
        }
      }
      case 1, 2 -> {
        side.clear();
        mute.clear();
      }
      case 3 -> {
        for (Node leader : nodes) {
          if (leads(leader)) {
            boolean _ = leader.core.transferLeadership(node.id);
            drain(leader);
          }
        }
      }
      case 4, 5 -> changeMembers(node.id);
      case 6, 7, 8 -> {
        if (node.up) {
          node.kill(false);
        }
      }
      case 9, 11 -> {
        if (node.up) {
          node.kill(true);
        }
      }
      case 10 -> {
        if (random.nextInt(6) == 0) {
          for (Node other : nodes) {
            if (other.up && random.nextInt(4) > 0) {
              other.kill(true);
            }
          }
        }
      }
      default -> {}
    }
    for (Node other : nodes) {
      if (!other.up && random.nextInt(3) == 0) {
        other.start();
      }
    }
    after(100 + random.nextInt(900), () -> trouble(crashes));
  }

  /** A process stands still, or a way is open in one direction only. */
  private void stall(Node node) {
    if (random.nextBoolean()) {
      pause(node, random.nextInt(4000));
    } else {
      Node other = nodes.get(random.nextInt(nodes.size()));
      mute.add(List.of(node.id, other.id));
    }
  }

  /** A process stands still. It is asked meanwhile, and sees that before what others have said. */
  private void pause(Node node, long length) {
    node.pausedUntil = now + length;
    int ofLife = node.life;
    at(
        node.pausedUntil,
        () -> {
          if (node.up && node.life == ofLife && !node.isPaused()) {
            node.enter();
            read(node);
          }
        });
  }

  /** Whether a process runs and thinks that it leads; it has its time then. */
  private static boolean leads(Node node) {
    if (!node.up || node.isPaused()) {
      return false;
    }
    node.resume();
    node.enter();
    return node.core.role() == Role.LEADER;
  }

  private void changeMembers(int id) {
    for (Node leader : nodes) {
      if (leads(leader)) {
        Membership members = leader.core.membership();
        EntryKind change =
            members.isLearner(id)
                ? EntryKind.PROMOTE
                : members.isVoter(id) ? EntryKind.REMOVE : EntryKind.ADD_LEARNER;
        // A group of fewer than two voters is no test of a group.
        if (change != EntryKind.REMOVE || members.voterCount() > 2) {
          long _ = leader.core.proposeChange(change, id);
          drain(leader);
        }
      }
    }
  }

  private void drain(Node node) {
    Actions actions = node.core.actions();
    for (int i = 0; i < actions.size(); i++) {
      Action action = actions.get(i);
      switch (action.kind()) {
        case SEND -> send(node, action.message());
        case APPEND -> append(node, action);
        case PERSIST_HARD_STATE -> persist(node, action);
        case COMMIT -> onCommit(node, action.index());
        case FLUSHED -> flushed = Math.max(flushed, action.index());
        case ROLE -> {
          if (action.role() == Role.LEADER) {
            onLeader(node);
          }
        }
        case READ_GRANTED -> {
          PendingRead read = reads.remove(action.id());
          grantedReads++;
          if (action.index() < read.floor) {
            throw violation(
                "stale read at node " + node.id + ": " + action.index() + " of " + read.floor);
          }
        }
        case READ_REFUSED -> reads.remove(action.id());
        case COMMITTED_LOST, EPOCH_RAISED, SYNC_WANTED -> {}
        case RESYNC_NEEDED -> throw violation("nothing is compacted, yet a resync is needed");
        case CONTRADICTION ->
            throw violation("node " + node.id + " is told to drop committed " + action.index());
      }
    }
    actions.clear();
  }

  private void send(Node from, Message message) {
    boolean promised =
        message.type == MessageType.PRE_VOTE
            || (message.term <= from.diskTerm
                && (message.type != MessageType.REQUEST_VOTE_RESPONSE
                    || !message.granted
                    || from.diskVote == message.to));
    if (!promised) {
      throw violation("sent before it is durable: " + CoreText.message(message));
    }
    from.sentAt[message.to] = now;
    int copies = calm ? 1 : random.nextInt(20) == 0 ? 2 : random.nextInt(20) == 0 ? 0 : 1;
    for (int i = 0; i < copies; i++) {
      Message copy = new Message().copyFrom(message);
      long delay = 1L + random.nextInt(30);
      if (!calm && random.nextInt(15) == 0) {
        delay += random.nextInt(1500);
      }
      after(
          delay,
          () -> {
            Node to = nodes.get(copy.to - 1);
            arrive(
                from,
                to,
                () -> {
                  to.core.step(copy);
                  drain(to);
                });
          });
    }
  }

  private void append(Node node, Action action) {
    long first = action.firstIndex();
    long last = action.index();
    long ticket = action.ticket();
    List<Entry> entries = new ArrayList<>();
    EntryLog log = node.core.log();
    // The core may have truncated since, in the same call: what is not there is not written.
    for (long i = first; i <= Math.min(last, log.lastIndex()); i++) {
      entries.add(new Entry(log.term(i), log.kind(i), log.subject(i), log.place(i)));
    }
    node.io(
        1 + random.nextInt(10),
        () -> {
          node.page.subList((int) first - 1, node.page.size()).clear();
          node.page.addAll(entries);
          node.core.step(new Message().appendedUpTo(node.id, ticket, last));
          drain(node);
        });
    if (random.nextInt(3) > 0) {
      node.io(
          random.nextInt(60),
          () -> {
            node.device = new ArrayList<>(node.page);
            node.core.step(new Message().durableUpTo(node.id, ticket, last));
            drain(node);
          });
    } else {
      // Synced with a later one; the next sync must not be far away.
      node.io(
          100 + random.nextInt(200),
          () -> {
            node.device = new ArrayList<>(node.page);
            node.core.step(new Message().durableUpTo(node.id, ticket, last));
            drain(node);
          });
    }
  }

  private void persist(Node node, Action action) {
    long term = action.term();
    int vote = action.node();
    boolean recovering = action.recovering();
    boolean lostDisk = action.lostDisk();
    int ofLife = node.life;
    node.lastPersist = Math.max(node.lastPersist, now + 5 + random.nextInt(60));
    at(
        node.lastPersist,
        () ->
            node.whenAwake(
                ofLife,
                () -> {
                  node.diskTerm = term;
                  node.diskVote = vote;
                  node.diskRecovering = recovering;
                  node.diskLost = lostDisk;
                  node.core.step(new Message().hardStateDurable(node.id, term, vote, recovering));
                  drain(node);
                }));
  }

  private void onLeader(Node node) {
    Integer other = leaders.putIfAbsent(node.core.term(), node.id);
    if (other != null && other != node.id) {
      throw violation("two leaders in term " + node.core.term() + ": " + other + " and " + node.id);
    }
    EntryLog log = node.core.log();
    boolean raises = log.epoch() == node.core.term();
    if (raises) {
      raise(node);
    }
    for (int i = 0; i < committed.size(); i++) {
      if (i + 1 > log.lastIndex() || log.term(i + 1) != committed.get(i).term) {
        // A leader of a term that is over already can be late to hear of it, and lack entries.
        if (committedIn.get(i) < node.core.term() && node.core.term() > epochTerm) {
          throw violation(
              "leader " + node.id + " of term " + node.core.term() + " lacks committed " + (i + 1));
        }
        return;
      }
    }
  }

  private void raise(Node node) {
    Membership members = node.core.membership();
    int recovering = 0;
    for (int i = 0; i < members.voterCount(); i++) {
      recovering += nodes.get(members.voter(i) - 1).diskRecovering ? 1 : 0;
      recovering += nodes.get(members.voter(i) - 1).machineCrashed ? 1 : 0;
    }
    int others = members.voterCount() - recovering;
    if (others >= Quorum.majority(members.voterCount())) {
      throw violation("an epoch is raised while only " + recovering + " recover");
    }
    raisedEpochs++;
    epochTerm = node.core.term();
    EntryLog log = node.core.log();
    int kept = 0;
    while (kept < committed.size()
        && kept + 1 <= log.lastIndex()
        && log.term(kept + 1) == committed.get(kept).term) {
      kept++;
    }
    if (kept < flushed) {
      throw violation("a new epoch keeps " + kept + " of " + flushed + " flushed entries");
    }
    lostEntries += committed.size() - kept;
    committed.subList(kept, committed.size()).clear();
    committedIn.subList(kept, committedIn.size()).clear();
    int floor = kept;
    reads.replaceAll((id, read) -> new PendingRead(read.node, Math.min(read.floor, floor)));
  }

  private void onCommit(Node node, long index) {
    EntryLog log = node.core.log();
    if (log.epoch() < epochTerm) {
      // It does not know yet that its epoch is over.
      return;
    }
    for (long i = 1; i <= index; i++) {
      Entry entry = new Entry(log.term(i), log.kind(i), log.subject(i), log.place(i));
      if (i > committed.size()) {
        committed.add(entry);
        committedIn.add(node.core.term());
        commits++;
      } else if (!committed.get((int) i - 1).equals(entry)) {
        throw violation(
            "node "
                + node.id
                + " commits "
                + entry
                + " as "
                + i
                + ", another "
                + committed.get((int) i - 1));
      }
    }
    if (node.core.role() == Role.LEADER && log.term(index) != node.core.term()) {
      throw violation("node " + node.id + " commits entry " + index + " of an earlier term");
    }
    if (config.ackPolicy() == AckPolicy.DURABLE && node.core.role() == Role.LEADER) {
      checkOnDevices(node, index);
    }
  }

  private void checkOnDevices(Node leader, long index) {
    Membership members = leader.core.membership();
    long term = leader.core.log().term(index);
    int holders = 0;
    for (int i = 0; i < members.voterCount(); i++) {
      List<Entry> device = nodes.get(members.voter(i) - 1).device;
      if (device.size() >= index && device.get((int) index - 1).term == term) {
        holders++;
      }
    }
    if (holders < Quorum.majority(members.voterCount())) {
      throw violation("entry " + index + " is acknowledged, and on " + holders + " devices");
    }
  }

  void checkLogMatching() {
    for (Node a : nodes) {
      for (Node b : nodes) {
        EntryLog left = a.core.log();
        EntryLog right = b.core.log();
        long common = Math.min(left.lastIndex(), right.lastIndex());
        while (common > 0 && left.term(common) != right.term(common)) {
          common--;
        }
        for (long i = common; i > 0; i--) {
          if (left.term(i) != right.term(i) || left.place(i) != right.place(i)) {
            throw violation(
                "logs of " + a.id + " and " + b.id + " agree at " + common + " but not at " + i);
          }
        }
      }
    }
  }

  private Node leader() {
    Node leader = null;
    for (Node node : nodes) {
      if (node.up
          && node.core.role() == Role.LEADER
          && (leader == null || node.core.term() > leader.core.term())) {
        leader = node;
      }
    }
    if (leader == null) {
      throw violation("no leader though all are well: " + describe());
    }
    return leader;
  }

  /**
   * When nobody wants anything the group is quiet, and all have everything. It works again when
   * something is proposed, also if nothing of that arrives at first, and when its leader stands
   * still or dies.
   */
  private void checkRest() {
    resting = true;
    runUntil(now + 6000);
    checkQuiet();
    if (leader().core.membership().voterCount() > 2) {
      checkSleeper();
      checkQuiet();
    }
    Node leader = leader();
    leader.enter();
    deaf = true;
    if (leader.core.propose(nextPlace++, 1) < 0) {
      throw violation("a quiet leader takes no proposal: " + describe());
    }
    drain(leader);
    runUntil(now + 60);
    deaf = false;
    runUntil(now + 4000);
    checkQuiet();
    if (leader.core.membership().voterCount() > 2) {
      leader.kill(false);
      runUntil(now + 8000);
      Node _ = leader();
    }
  }

  /** Another one leads, and has committed, when a leader that stood still is asked to read. */
  private void checkSleeper() {
    Node sleeper = leader();
    long end = now + 6000;
    pause(sleeper, end - now);
    runUntil(end - 500);
    Node next = leader();
    next.enter();
    int before = committed.size();
    if (next == sleeper || next.core.propose(nextPlace++, 1) < 0) {
      throw violation("nobody follows a leader that stands still: " + describe());
    }
    drain(next);
    runUntil(end - 1);
    if (committed.size() == before) {
      throw violation("what a new leader takes is not committed: " + describe());
    }
    runUntil(end + 4000);
  }

  private void checkQuiet() {
    Node leader = leader();
    Membership members = leader.core.membership();
    long last = leader.core.log().lastIndex();
    for (Node node : nodes) {
      if (!isMember(members, node)) {
        continue;
      }
      boolean complete = node.core.log().lastIndex() == last && node.core.commitIndex() == last;
      if (!complete || !node.core.quiescence.isQuiet()) {
        throw violation("member " + node.id + " does not rest: " + describe());
      }
      for (Node other : nodes) {
        if (isMember(members, other) && node.sentAt[other.id] > now - 1000) {
          throw violation("members " + node.id + " and " + other.id + " speak: " + describe());
        }
      }
    }
  }

  private static boolean isMember(Membership members, Node node) {
    return members.isVoter(node.id) || members.isLearner(node.id);
  }

  private void checkConvergence() {
    checkLogMatching();
    Node leader = leader();
    Membership members = leader.core.membership();
    for (int i = 0; i < members.voterCount(); i++) {
      RaftCore core = nodes.get(members.voter(i) - 1).core;
      if (core.commitIndex() + 64 < committed.size() || core.isRecovering()) {
        throw violation("voter " + members.voter(i) + " is left behind: " + describe());
      }
    }
  }

  private String describe() {
    StringBuilder text = new StringBuilder();
    for (Node node : nodes) {
      text.append("\n  ").append(node.id).append(": ").append(CoreText.state(node.core));
      text.append(' ').append(node.core.membership());
    }
    return text.toString();
  }

  private Violation violation(String what) {
    return new Violation("seed " + seed + " at " + now + ": " + what);
  }
}
