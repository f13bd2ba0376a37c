package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A group whose only member leads at once, without writing anything; and what ends that. */
class AloneTest {
  private static final int SELF = 1;

  private final List<String> done = new ArrayList<>();
  private final Message report = new Message();
  private RaftCore core;

  private void create(AckPolicy policy, Membership members, int entries, int durable) {
    create(policy, members, 7, false, entries, durable);
  }

  private void create(
      AckPolicy policy,
      Membership members,
      long term,
      boolean recovering,
      int entries,
      int durable) {
    EntryLog log = new EntryLog(0, 0, 0);
    for (int i = 0; i < entries; i++) {
      log.append(8, EntryKind.PAYLOAD, RaftCore.NO_NODE, EntryLog.NO_PLACE, 100);
    }
    core =
        new RaftCore(
            RaftConfig.defaults(policy),
            new RaftStart(
                SELF, 3, term, RaftCore.NO_NODE, recovering, false, members, log, durable),
            () -> 0);
    drain();
  }

  private void drain() {
    Actions actions = core.actions();
    for (int i = 0; i < actions.size(); i++) {
      done.add(CoreText.action(actions.get(i)));
    }
    actions.clear();
  }

  private void campaign() {
    core.campaign();
    drain();
  }

  @Test
  void itLeadsAtOnceAndAllThatItsLogHoldsIsCommitted() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 4, 3);
    assertThat(core.isAlone()).isTrue();
    assertThat(core.refusal(1)).isEqualTo(RaftCore.NOT_LEADER);
    campaign();
    // Nothing to append, nothing to persist; the term is above that of the newest entry.
    assertThat(done).containsExactly("role LEADER term=9 leader=1", "commit 4", "flushed 3");
    assertThat(core.read(5)).isZero();
    drain();
    assertThat(done).last().isEqualTo("read 5 granted at 4");
  }

  @Test
  void ticksMakeItLeadAsWell() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 0, 0);
    for (int i = 0; i < 20; i++) {
      core.tick();
    }
    drain();
    assertThat(done).containsExactly("role LEADER term=8 leader=1");
  }

  @Test
  void underThePolicyDurableOnlyThatIsCommitted() {
    create(AckPolicy.DURABLE, Membership.of(SELF), 4, 3);
    campaign();
    assertThat(core.commitIndex()).isEqualTo(3);
    core.step(report.durableUpTo(SELF, 0, 4));
    assertThat(core.commitIndex()).isEqualTo(4);
  }

  @Test
  void aCrashOfTheMachineLeavesTheMostCompleteLogThereIs() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 7, true, 2, 2);
    campaign();
    assertThat(core.role()).isEqualTo(Role.LEADER);
    assertThat(core.isRecovering()).isFalse();
    assertThat(core.epoch()).isZero();
  }

  @Test
  void entriesAreForgottenBeforeTheyAreDurable() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 4, 0);
    campaign();
    core.compact(4);
    assertThat(core.log().baseIndex()).isEqualTo(4);
    done.clear();
    core.step(report.durableUpTo(SELF, 0, 2));
    drain();
    assertThat(done).containsExactly("flushed 2");
    assertThat(core.propose(EntryLog.NO_PLACE, 1)).isEqualTo(5);
    assertThatThrownBy(() -> core.compact(5)).hasMessage("index=5 commit=4 durable=2");
  }

  @Test
  void beforeALearnerHearsAnythingTermAndVoteAreDurable() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 1, 1);
    campaign();
    done.clear();
    assertThat(core.proposeChange(EntryKind.ADD_LEARNER, 2)).isEqualTo(2);
    drain();
    assertThat(core.isAlone()).isFalse();
    assertThat(done).containsExactly("append 2..2", "persist term=9 vote=1");
    core.step(report.hardStateDurable(SELF, 9, SELF, false));
    drain();
    assertThat(done).hasSize(3);
    assertThat(done).last().asString().startsWith("send 1->2 APPEND term=9");
  }

  @Test
  void aStrangerIsAnsweredOnlyWithWhatIsDurable() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 1, 1);
    campaign();
    done.clear();
    Message m = new Message().reset(MessageType.PRE_VOTE, 2, SELF);
    m.incarnation = 1;
    m.term = 20;
    core.step(m);
    drain();
    assertThat(done).containsExactly("persist term=9 vote=1");
  }

  @Test
  void withALearnerItIsNotAlone() {
    Membership members = Membership.of(new int[] {SELF}, new int[] {2});
    create(AckPolicy.APPENDED, members, 1, 1);
    done.clear();
    campaign();
    assertThat(core.role()).isEqualTo(Role.CANDIDATE);
    assertThat(done).contains("persist term=9 vote=1");
  }

  @Test
  void amongOthersCampaignAsksForVotesWithoutWaiting() {
    create(AckPolicy.APPENDED, Membership.of(SELF, 2, 3), 0, 0);
    campaign();
    assertThat(core.role()).isEqualTo(Role.PRE_CANDIDATE);
    assertThat(done).filteredOn(line -> line.startsWith("send")).hasSize(2);
    assertThat(core.refusal(1)).isEqualTo(RaftCore.NOT_LEADER);
  }

  @Test
  void whoIsNoVoterDoesNotCampaign() {
    create(AckPolicy.APPENDED, Membership.of(2, 3), 0, 0);
    campaign();
    assertThat(core.role()).isEqualTo(Role.FOLLOWER);
    assertThat(done).isEmpty();
  }

  @Test
  void aLeaderDoesNotCampaignAgain() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 0, 0);
    campaign();
    campaign();
    assertThat(core.term()).isEqualTo(8);
  }

  @Test
  void refusalTellsHowManyEntriesAreTaken() {
    create(AckPolicy.APPENDED, Membership.of(SELF), 0, 0);
    campaign();
    int most = RaftConfig.defaults(AckPolicy.APPENDED).maxUncommittedEntries();
    assertThat(core.refusal(most)).isZero();
    assertThat(core.refusal(most + 1)).isEqualTo(RaftCore.BUSY);
    for (int i = 0; i < most; i++) {
      assertThat(core.refusal(1)).isZero();
      assertThat(core.propose(EntryLog.NO_PLACE, 1)).isEqualTo(i + 1);
    }
    assertThat(core.refusal(1)).isEqualTo(RaftCore.BUSY);
    assertThat(core.propose(EntryLog.NO_PLACE, 1)).isEqualTo(RaftCore.BUSY);
    done.clear();
    drain();
    assertThat(done).as("one append for all").containsExactly("append 1.." + most);
  }
}
