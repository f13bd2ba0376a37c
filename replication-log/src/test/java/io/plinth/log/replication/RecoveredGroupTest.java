package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.EntryLog;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftCore;
import org.junit.jupiter.api.Test;

/** What recovery makes of the records of one group. */
class RecoveredGroupTest {
  private final RecoveredGroup group =
      new RecoveredGroup(
          new GroupState(
              3, 10, 10, 2, 1, Membership.of(1, 2, 3), 0, RaftCore.NO_NODE, false, false, 0),
          1);
  private final EntryPlaces places = new EntryPlaces(10);

  private void entry(long index, long term, EntryKind kind, long position)
      throws RecoveryException {
    group.entry(index, term, kind, RaftCore.NO_NODE, 100, position, position / 4096, false);
  }

  @Test
  void entriesAndTheirPlacesAreTakenInOrder() throws RecoveryException {
    entry(11, 2, EntryKind.PAYLOAD, 8192);
    entry(12, 5, EntryKind.EPOCH, 12288);
    EntryLog log = group.entryLog(places);
    assertThat(log.baseIndex()).isEqualTo(10);
    assertThat(log.lastIndex()).isEqualTo(12);
    assertThat(log.term(10)).isEqualTo(2);
    assertThat(log.term(12)).isEqualTo(5);
    assertThat(log.epoch()).isEqualTo(5);
    assertThat(log.lengthBytes(11)).isEqualTo(100);
    assertThat(places.position(11)).isEqualTo(8192);
    assertThat(places.payloadPlace(12)).isEqualTo(3);
  }

  @Test
  void aLaterRecordAtAnIndexReplacesThatEntryAndAllAfterIt() throws RecoveryException {
    for (long index = 11; index <= 15; index++) {
      entry(index, 3, EntryKind.PAYLOAD, index);
    }
    entry(13, 4, EntryKind.NO_OP, 99);
    EntryLog log = group.entryLog(places);
    assertThat(log.lastIndex()).isEqualTo(13);
    assertThat(log.term(12)).isEqualTo(3);
    assertThat(log.kind(13)).isEqualTo(EntryKind.NO_OP);
    assertThat(places.position(13)).isEqualTo(99);
  }

  @Test
  void entriesThatTheOwnersStateHasAreLeftOut() throws RecoveryException {
    entry(9, 1, EntryKind.PAYLOAD, 1);
    entry(10, 2, EntryKind.PAYLOAD, 2);
    entry(11, 2, EntryKind.PAYLOAD, 3);
    assertThat(group.entryLog(places).lastIndex()).isEqualTo(11);
    assertThat(places.position(11)).isEqualTo(3);
  }

  @Test
  void aGapIsNotSilentlyAccepted() {
    assertThatThrownBy(() -> entry(12, 2, EntryKind.PAYLOAD, 1))
        .isInstanceOf(RecoveryException.class)
        .hasMessage("group 3: entry 12 of the log follows entry 10");
  }

  @Test
  void aTermThatGoesDownIsNotSilentlyAccepted() {
    assertThatThrownBy(() -> entry(11, 1, EntryKind.PAYLOAD, 1))
        .isInstanceOf(RecoveryException.class)
        .hasMessage("group 3: entry 11 of term 1 follows one of term 2");
  }

  @Test
  void ofAGroupWithoutOthersOnlyTheNewestEntryIsRemembered() throws RecoveryException {
    RecoveredGroup alone = new RecoveredGroup(GroupState.first(4, Membership.of(1)), 1);
    alone.entry(1, 1, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, 8192, 2, false);
    alone.entry(2, 3, EntryKind.EPOCH, RaftCore.NO_NODE, 0, 8192, 2, false);
    assertThat(alone.isAlone()).isTrue();
    EntryLog log = alone.entryLog(new EntryPlaces(2));
    assertThat(log.baseIndex()).isEqualTo(2);
    assertThat(log.lastIndex()).isEqualTo(2);
    assertThat(log.lastTerm()).isEqualTo(3);
    assertThat(log.epoch()).isEqualTo(3);
    assertThatThrownBy(
            () -> alone.entry(2, 3, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, 12288, 3, false))
        .hasMessage("group 4: entry 2 of the log follows entry 2");
    assertThatThrownBy(
            () -> alone.entry(4, 3, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, 12288, 3, false))
        .hasMessage("group 4: entry 4 of the log follows entry 2");
  }

  @Test
  void entriesAreRememberedFromTheChangeOnThatAddsAMember() throws RecoveryException {
    RecoveredGroup alone = new RecoveredGroup(GroupState.first(4, Membership.of(1)), 1);
    alone.entry(1, 1, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, 8192, 2, false);
    alone.entry(2, 1, EntryKind.ADD_LEARNER, 2, 0, 12288, 0, false);
    alone.entry(3, 1, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, 16384, 4, false);
    assertThat(alone.isAlone()).isFalse();
    EntryLog log = alone.entryLog(places);
    assertThat(log.baseIndex()).isEqualTo(1);
    assertThat(log.lastIndex()).isEqualTo(3);
    assertThat(log.subject(2)).isEqualTo(2);
  }

  /** Replay may begin before the cut, at the segment of the oldest entry that is kept. */
  @Test
  void whatWasReplacedBeforeTheCutIsPassedOver() throws RecoveryException {
    entryBeforeCut(13, 2, 1);
    entryBeforeCut(12, 1, 2);
    entryBeforeCut(11, 3, 3);
    entryBeforeCut(12, 3, 4);
    entry(13, 3, EntryKind.PAYLOAD, 5);
    EntryLog log = group.entryLog(places);
    assertThat(log.lastIndex()).isEqualTo(13);
    assertThat(log.term(11)).isEqualTo(3);
    assertThat(places.position(11)).isEqualTo(3);
    assertThat(places.position(12)).isEqualTo(4);
    assertThat(group.appliedIndex()).isEqualTo(10);
  }

  @Test
  void ofAGroupWithoutOthersNothingFromBeforeTheCutIsLookedAt() throws RecoveryException {
    RecoveredGroup alone = new RecoveredGroup(GroupState.first(4, Membership.of(1)), 1);
    alone.entry(9, 1, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, 8192, 2, true);
    assertThat(alone.lastIndex()).isZero();
  }

  private void entryBeforeCut(long index, long term, long position) throws RecoveryException {
    group.entry(index, term, EntryKind.PAYLOAD, RaftCore.NO_NODE, 100, position, 0, true);
  }

  @Test
  void theNewestPromisesCount() {
    assertThat(group.hasState()).isFalse();
    assertThat(group.isOfAnotherBoot(5)).as("without promises there is nothing to lose").isFalse();
    group.state(4, 2, true, false, 5);
    group.state(6, RaftCore.NO_NODE, false, false, 7);
    assertThat(group.term()).isEqualTo(6);
    assertThat(group.vote()).isEqualTo(RaftCore.NO_NODE);
    assertThat(group.isRecovering()).isFalse();
    assertThat(group.isOfAnotherBoot(5)).isTrue();
    assertThat(group.isOfAnotherBoot(7)).isFalse();
  }
}
