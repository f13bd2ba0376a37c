package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Role;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What becomes of groups that rest when something happens to a node that has members of them. */
@Timeout(60)
class WatchedNodesTest {
  private static final int GROUPS = 40;
  private static final long MS = ManyGroups.MS;

  private ManyGroups run;
  private GroupNode first;
  private GroupNode second;

  /** Node 1 leads all groups, and all rest. */
  @BeforeEach
  void rest() throws RecoveryException {
    run = new ManyGroups(GROUPS, 5, AckPolicy.APPENDED);
    first = run.nodes.get(0);
    second = run.nodes.get(1);
    long _ = run.await("leaders", 3_000 * MS, run::allLead);
    run.writeAll();
    run.handAllTo(first);
    awaitRest();
  }

  @AfterEach
  void free() {
    run.free();
  }

  private void awaitRest() {
    long _ = run.await("rest", 5_000 * MS, run::allRest);
  }

  private List<Long> terms(GroupNode node) {
    return node.replicas.stream().map(Replica::term).toList();
  }

  /** Back before anybody missed it: its hello tells that it was started anew. */
  @Test
  void aLeaderThatIsStartedAnewIsMissedAtOnce() throws RecoveryException {
    first.kill();
    first.start();
    assertThat(run.allLead()).isFalse();
    long ns = run.await("new leaders", 1_000 * MS, run::allLead);
    assertThat(ns).isLessThan(700 * MS);
    assertThat(run.lost()).isEmpty();
    awaitRest();
  }

  @Test
  void theDeathOfAFollowerWakesNobody() throws RecoveryException {
    List<Long> terms = terms(first);
    run.mostAwake = 0;
    second.losePower();
    run.pass(3_000 * MS);
    assertThat(run.mostAwake).isZero();
    run.writeAll();
    awaitRest();
    second.start();
    awaitRest();
    assertThat(terms(second)).isEqualTo(terms);
    for (int group = 0; group < GROUPS; group++) {
      assertThat(second.replicas.get(group).committedIndex())
          .isEqualTo(first.replicas.get(group).committedIndex());
      assertThat(second.replicas.get(group).isRecovering()).isFalse();
    }
  }

  @Test
  void aFollowerThatIsCutOffDeposesNobody() {
    List<Long> terms = terms(first);
    run.network.block(1, 2);
    run.pass(3_000 * MS);
    assertThat(run.ledBy(first)).isEqualTo(GROUPS);
    run.writeAll();
    run.network.heal();
    awaitRest();
    assertThat(terms(first)).isEqualTo(terms);
    assertThat(terms(second)).isEqualTo(terms);
  }

  @Test
  void aLeaderThatIsCutOffStepsDown() {
    for (int other = 2; other <= 3; other++) {
      run.network.block(1, other);
      run.network.block(other, 1);
    }
    long _ = run.await("other leaders", 1_000 * MS, () -> others(Role.LEADER) == GROUPS);
    long _ = run.await("the old ones' end", 1_000 * MS, () -> run.ledBy(first) == 0);
    run.network.heal();
    awaitRest();
    assertThat(run.lost()).isEmpty();
  }

  private int others(Role role) {
    int count = 0;
    for (GroupNode node : run.nodes) {
      for (Replica replica : node.replicas) {
        count += node != first && replica.role() == role ? 1 : 0;
      }
    }
    return count;
  }

  /** Who wakes up after a second has heard nobody meanwhile, and takes nobody for dead for that. */
  @Test
  void aFollowerThatStoodStillDoesNotStandForElection() {
    List<Long> terms = terms(first);
    second.pause(900 * MS);
    run.pass(2_900 * MS);
    awaitRest();
    assertThat(terms(first)).isEqualTo(terms);
    assertThat(terms(second)).isEqualTo(terms);
  }

  @Test
  void aConnectionThatIsMadeAnewAtOnceWakesNobody() {
    run.mostAwake = 0;
    run.network.reset(1, 2);
    run.pass(3_000 * MS);
    assertThat(run.mostAwake).isZero();
  }
}
