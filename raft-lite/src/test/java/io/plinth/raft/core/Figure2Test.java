package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Figure 2 of the Raft paper (Ongaro and Ousterhout, 2014), one test per rule. */
class Figure2Test {
  private static final int SELF = 1;

  private RaftCore core;
  private final List<String> done = new ArrayList<>();

  // Receiver implementation of AppendEntries.

  @Test
  void appendEntries1RepliesFalseIfTheTermIsOlder() {
    create(5);
    step(append(2, 4, 0, 0));
    assertThat(done).containsExactly("send 1->2 APPEND_RESPONSE term=5 refused=0 hint=0/0");
    assertThat(core.leader()).isEqualTo(RaftCore.NO_NODE);
  }

  @Test
  void appendEntries2RepliesFalseIfThereIsNoEntryAtPrevLogIndexWithPrevLogTerm() {
    create(5, 1, 1, 3);
    step(append(2, 5, 4, 4));
    assertThat(done).contains("send 1->2 APPEND_RESPONSE term=5 refused=4 hint=3/3");
    done.clear();
    step(append(2, 5, 3, 2));
    // The hint leaves out entries of term 3, which the leader, with term 2 there, can't have.
    assertThat(done).containsExactly("send 1->2 APPEND_RESPONSE term=5 refused=3 hint=2/1");
    assertThat(core.log().lastIndex()).isEqualTo(3);
  }

  @Test
  void appendEntries3DeletesAConflictingEntryAndAllThatFollowIt() {
    create(5, 1, 1, 3, 3);
    step(append(2, 5, 2, 1, 4));
    assertThat(core.log().lastIndex()).isEqualTo(3);
    assertThat(core.log().term(3)).isEqualTo(4);
    assertThat(done).contains("append 3..3");
  }

  @Test
  void appendEntries3KeepsEntriesThatDoNotConflict() {
    create(5, 1, 1, 3, 3);
    step(append(2, 5, 1, 1, 1));
    assertThat(core.log().lastIndex()).isEqualTo(4);
    assertThat(done).noneMatch(line -> line.startsWith("append"));
  }

  @Test
  void appendEntries4AppendsEntriesNotAlreadyInTheLog() {
    create(5, 1, 1);
    step(append(2, 5, 1, 1, 1, 5, 5));
    assertThat(done).contains("append 3..4");
    assertThat(core.log().term(4)).isEqualTo(5);
  }

  @Test
  void appendEntries5TheCommitIndexIsAtMostTheLastNewEntry() {
    create(5, 1, 1, 3, 3);
    Message m = append(2, 5, 1, 1, 1);
    m.commit = 4;
    step(m);
    assertThat(core.commitIndex()).isEqualTo(2);
    m = append(2, 5, 2, 1, 5);
    m.commit = 3;
    step(m);
    assertThat(core.commitIndex()).isEqualTo(3);
  }

  /** What was compacted is in the state machine, which can't take it back (section 7). */
  @Test
  void anotherTermForTheEntryBeforeTheLogIsAContradiction() {
    create(5, 1, 1, 3);
    Message m = append(2, 5, 3, 3);
    m.commit = 3;
    step(m);
    core.compact(2);
    done.clear();
    step(append(2, 5, 1, 1, 1, 3));
    assertThat(done).noneMatch(line -> line.startsWith("contradiction"));
    step(append(2, 5, 1, 1, 2, 4));
    assertThat(done).contains("contradiction at 2");
    assertThat(core.log().term(3)).isEqualTo(3);
  }

  // Receiver implementation of RequestVote.

  @Test
  void requestVote1RepliesFalseIfTheTermIsOlder() {
    create(5);
    patient();
    step(requestVote(2, 4, 9, 4));
    assertThat(done).containsExactly("send 1->2 REQUEST_VOTE_RESPONSE term=5 refused");
  }

  @Test
  void requestVote2GrantsTheVoteToACompleteLog() {
    create(5, 1, 3);
    patient();
    step(requestVote(2, 6, 2, 3));
    assertThat(done)
        .containsSubsequence(
            "persist term=6 vote=2", "send 1->2 REQUEST_VOTE_RESPONSE term=6 granted log-ok");
  }

  @Test
  void requestVote2VotesOnceInATerm() {
    create(5);
    patient();
    step(requestVote(2, 6, 0, 0));
    done.clear();
    step(requestVote(3, 6, 0, 0));
    assertThat(done).containsExactly("send 1->3 REQUEST_VOTE_RESPONSE term=6 refused log-ok");
    done.clear();
    step(requestVote(2, 6, 0, 0));
    assertThat(done).containsExactly("send 1->2 REQUEST_VOTE_RESPONSE term=6 granted log-ok");
  }

  @Test
  void requestVote2RefusesAnEarlierLastTermAndAShorterLog() {
    create(5, 1, 3);
    patient();
    step(requestVote(2, 6, 9, 2));
    assertThat(done).contains("send 1->2 REQUEST_VOTE_RESPONSE term=6 refused");
    step(requestVote(3, 7, 1, 3));
    assertThat(done).contains("send 1->3 REQUEST_VOTE_RESPONSE term=7 refused");
    step(requestVote(3, 8, 1, 4));
    assertThat(done).contains("send 1->3 REQUEST_VOTE_RESPONSE term=8 granted log-ok");
  }

  @Test
  void theVoteIsKnownAfterARestart() {
    create(new RaftStart(SELF, 2, 6, 2, false, false, members(), new EntryLog(0, 0, 0), 0));
    patient();
    step(requestVote(3, 6, 0, 0));
    assertThat(done).containsExactly("send 1->3 REQUEST_VOTE_RESPONSE term=6 refused log-ok");
  }

  // Rules for all servers.

  @Test
  void allServersTellWhatIsCommitted() {
    create(5, 1, 1);
    Message m = append(2, 5, 2, 1);
    m.commit = 2;
    step(m);
    assertThat(done).contains("commit 2");
  }

  @Test
  void allServersConvertToFollowerOnANewerTerm() {
    lead();
    step(response(2, 9, 0));
    assertThat(core.role()).isEqualTo(Role.FOLLOWER);
    assertThat(core.term()).isEqualTo(9);
    assertThat(done).contains("persist term=9 vote=-");
  }

  // Rules for followers.

  @Test
  void followersRespondToLeaders() {
    create(5);
    step(heartbeat(2, 5));
    assertThat(done)
        .contains("send 1->2 APPEND_RESPONSE term=5 matched=0 appended=0 durable=0 round=0");
  }

  @Test
  void followersThatHearNothingStandForElection() {
    create(5);
    tick(9);
    assertThat(core.role()).isEqualTo(Role.FOLLOWER);
    tick(1);
    assertThat(core.role()).isEqualTo(Role.PRE_CANDIDATE);
    assertThat(core.term()).isEqualTo(5);
  }

  @Test
  void followersThatHearTheLeaderOrGrantAVoteWait() {
    create(5);
    tick(9);
    step(heartbeat(2, 5));
    tick(9);
    assertThat(core.role()).isEqualTo(Role.FOLLOWER);
    create(5);
    tick(9);
    Message vote = requestVote(2, 6, 0, 0);
    vote.transfer = true;
    step(vote);
    tick(9);
    assertThat(core.role()).isEqualTo(Role.FOLLOWER);
  }

  // Rules for candidates.

  @Test
  void candidatesIncrementTheirTermVoteForThemselvesAndAskAll() {
    create(5);
    tick(10);
    step(preVoteResponse(2, 5));
    assertThat(core.role()).isEqualTo(Role.CANDIDATE);
    assertThat(done)
        .containsSubsequence(
            "persist term=6 vote=1",
            "send 1->2 REQUEST_VOTE term=6 last=0/0",
            "send 1->3 REQUEST_VOTE term=6 last=0/0");
  }

  @Test
  void candidatesWithVotesOfAMajorityLead() {
    lead();
    assertThat(core.role()).isEqualTo(Role.LEADER);
  }

  @Test
  void candidatesFollowANewLeader() {
    create(5);
    tick(10);
    step(preVoteResponse(2, 5));
    step(append(3, 6, 0, 0, 6));
    assertThat(core.role()).isEqualTo(Role.FOLLOWER);
    assertThat(core.leader()).isEqualTo(3);
  }

  @Test
  void candidatesWithoutResultStartAgain() {
    create(5);
    tick(10);
    step(preVoteResponse(2, 5));
    done.clear();
    tick(10);
    assertThat(done).contains("send 1->2 PRE_VOTE term=7 last=0/0");
  }

  // Rules for leaders.

  @Test
  void leadersTellAtOnceAndRepeatedly() {
    lead();
    assertThat(done)
        .contains(
            "send 1->2 APPEND term=6 prev=0/0 commit=0 entries=[6:NO_OP]",
            "send 1->3 APPEND term=6 prev=0/0 commit=0 entries=[6:NO_OP]");
    done.clear();
    tick(2);
    assertThat(done).contains("send 1->2 HEARTBEAT term=6 commit=0 round=0");
  }

  @Test
  void leadersAppendACommandAndCommitItOnceAMajorityHasIt() {
    lead();
    assertThat(core.propose(77, 1)).isEqualTo(2);
    drain();
    step(new Message().appendedUpTo(SELF, 2, 2));
    assertThat(core.commitIndex()).isZero();
    step(response(2, 6, 2));
    assertThat(done).contains("commit 2");
  }

  @Test
  void leadersSendFromNextIndex() {
    lead();
    step(response(2, 6, 1));
    done.clear();
    assertThat(core.propose(77, 1)).isEqualTo(2);
    drain();
    assertThat(done)
        .contains("send 1->2 APPEND term=6 prev=1/6 commit=0 entries=[6:77]")
        .noneMatch(line -> line.startsWith("send 1->3"));
  }

  @Test
  void leadersGoBackWhereTheLogsDoNotAgree() {
    lead(1, 1, 3);
    done.clear();
    Message refusal = message(MessageType.APPEND_RESPONSE, 2, 6);
    refusal.refusedIndex = 3;
    refusal.index = 1;
    refusal.logTerm = 1;
    step(refusal);
    assertThat(done).anyMatch(line -> line.startsWith("send 1->2 APPEND term=6 prev=1/1"));
  }

  @Test
  void leadersDoNotCommitEntriesOfEarlierTermsByCounting() {
    lead(1, 1);
    step(new Message().appendedUpTo(SELF, 0, 2));
    step(response(2, 6, 2));
    assertThat(core.commitIndex()).isZero();
    step(new Message().appendedUpTo(SELF, 1, 3));
    step(response(2, 6, 3));
    assertThat(core.commitIndex()).isEqualTo(3);
  }

  // What no correct peer sends changes nothing.

  @Test
  void entriesWhoseTermsGoDownOrBeyondTheLeadersAreNotTaken() {
    create(5, 1, 3);
    step(append(2, 5, 2, 3, 2));
    step(append(2, 5, 2, 3, 6));
    step(append(2, 5, -1, 3, 3));
    assertThat(core.log().lastIndex()).isEqualTo(2);
    assertThat(done).noneMatch(line -> line.startsWith("append") || line.startsWith("send"));
  }

  @Test
  void anAnswerBeyondTheLeadersLogDoesNotCount() {
    lead();
    step(new Message().appendedUpTo(SELF, 1, 1));
    step(response(2, 6, 9));
    assertThat(core.commitIndex()).isZero();
    step(response(2, 6, 1));
    assertThat(core.commitIndex()).isEqualTo(1);
  }

  private static Membership members() {
    return Membership.of(1, 2, 3);
  }

  /** A follower with these entries, in this term. */
  private void create(long term, long... terms) {
    EntryLog log = new EntryLog(0, 0, 0);
    for (int i = 0; i < terms.length; i++) {
      log.append(terms[i], EntryKind.PAYLOAD, RaftCore.NO_NODE, i, 1);
    }
    create(
        new RaftStart(SELF, 1, term, RaftCore.NO_NODE, false, false, members(), log, terms.length));
  }

  private void create(RaftStart start) {
    core = new RaftCore(RaftConfig.defaults(AckPolicy.APPENDED), start, () -> 0);
    drain();
    done.clear();
  }

  private void lead(long... terms) {
    create(5, terms);
    tick(10);
    step(preVoteResponse(2, 5));
    Message vote = message(MessageType.REQUEST_VOTE_RESPONSE, 2, 6);
    vote.round = 2;
    vote.granted = true;
    vote.logOk = true;
    step(vote);
  }

  /** Long enough without a leader that votes are not refused for one. */
  private void patient() {
    tick(10);
    step(message(MessageType.PRE_VOTE_RESPONSE, 2, core.term()));
    done.clear();
  }

  private void tick(int times) {
    for (int i = 0; i < times; i++) {
      core.tick();
      drain();
    }
  }

  private void step(Message m) {
    core.step(m);
    drain();
  }

  /** The disk of this test is at once durable with term and vote, and never with entries. */
  private void drain() {
    Actions actions = core.actions();
    List<Message> reports = new ArrayList<>();
    for (int i = 0; i < actions.size(); i++) {
      Action a = actions.get(i);
      done.add(CoreText.action(a));
      if (a.kind() == Action.Kind.PERSIST_HARD_STATE) {
        reports.add(new Message().hardStateDurable(SELF, a.term(), a.node(), a.recovering()));
      }
    }
    actions.clear();
    reports.forEach(this::step);
  }

  private static Message message(MessageType type, int from, long term) {
    Message m = new Message().reset(type, from, SELF);
    m.term = term;
    m.incarnation = 1;
    return m;
  }

  private static Message append(int from, long term, long index, long logTerm, long... terms) {
    Message m = message(MessageType.APPEND, from, term);
    m.index = index;
    m.logTerm = logTerm;
    for (long entry : terms) {
      m.addEntry(entry, EntryKind.PAYLOAD, RaftCore.NO_NODE, 0, 1);
    }
    return m;
  }

  private static Message heartbeat(int from, long term) {
    return message(MessageType.HEARTBEAT, from, term);
  }

  private static Message requestVote(int from, long term, long index, long logTerm) {
    Message m = message(MessageType.REQUEST_VOTE, from, term);
    m.index = index;
    m.logTerm = logTerm;
    return m;
  }

  private static Message preVoteResponse(int from, long term) {
    Message m = message(MessageType.PRE_VOTE_RESPONSE, from, term);
    m.round = 1;
    m.granted = true;
    m.logOk = true;
    return m;
  }

  private static Message response(int from, long term, long appended) {
    Message m = message(MessageType.APPEND_RESPONSE, from, term);
    m.granted = true;
    m.index = appended;
    m.appended = appended;
    return m;
  }
}
