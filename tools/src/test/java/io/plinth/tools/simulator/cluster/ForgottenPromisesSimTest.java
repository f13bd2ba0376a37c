package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.replication.Replica;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.NodesStatus;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A replica was away while its group has moved to other nodes, and comes back to a node that was a
 * member when it left, and has dropped its replica since: what that one promised is forgotten.
 * Nobody else can hear these two. Together they are a majority of the members that the first one
 * knows, and must not act as one: the group goes on without them. Random faults do not get there.
 */
@Timeout(120)
class ForgottenPromisesSimTest extends ClusterScene {
  private static final int NODES = 5;
  private static final int OTHER_LOG = 1;
  private static final String VOLUME = "v";

  /** Many elections long. */
  private static final long APART_NS = 1_000_000_000L;

  private static final KeeperSettings KEEPER =
      new KeeperSettings(30_000_000, 3_600_000_000_000L, 5_000_000);

  /** The one that was away, and the one that has forgotten. */
  private ClusterNode away;

  private ClusterNode forgetful;

  private List<Integer> original = List.of();

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void whoComesBackAsANewReplicaHelpsNobodyWhoWasAway(long seed) {
    assertThat(metByNewcomer(seed, Set.of())).as("acts as a majority").isFalse();
    requireRecovery();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void whoStartsWithAnOldCatalogueHelpsNobodyWhoWasAway(long seed) {
    assertThat(metByStart(seed, Set.of())).as("acts as a majority").isFalse();
    requireRecovery();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void aNewReplicaThatTakesPartAtOnceIsCaught(long seed) {
    assertThat(metByNewcomer(seed, Set.of(CatalogueBug.NEWCOMER_BEGINS_AS_MEMBER))).isTrue();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void aReplicaThatIsBegunByAnOldCatalogueIsCaught(long seed) {
    assertThat(metByStart(seed, Set.of(CatalogueBug.BEGUN_BY_OLD_CATALOGUE))).isTrue();
  }

  /** Returns whether the two commit something when the forgetful one has just begun anew. */
  private boolean metByNewcomer(long seed, Set<CatalogueBug> bugs) {
    moveAway(seed, bugs);
    int other =
        members().stream().filter(node -> !original.contains(node)).findFirst().orElseThrow();
    List<String> _ = ask(node -> node.undrainNode(forgetful.number));
    List<String> _ = ask(node -> node.drainNode(other, forgetful.number, false));
    await("the new replica is not begun", () -> replica(forgetful) != null);
    separate(away, forgetful);
    away.start();
    return commitsWithin();
  }

  /** Returns whether they do when the forgetful one has just been started. */
  private boolean metByStart(long seed, Set<CatalogueBug> bugs) {
    moveAway(seed, bugs);
    // In the other log, in which nothing tells of it, the catalogue is as old as it was.
    writeCheckpoint(forgetful, OTHER_LOG);
    forgetful.kill();
    separate(away, forgetful);
    away.start();
    forgetful.start();
    return commitsWithin();
  }

  /** Two of the first members are members no more: one is away, the other has dropped it. */
  private void moveAway(long seed, Set<CatalogueBug> bugs) {
    begin(seed, NODES, OTHER_LOG + 1, new ClusterBugs(Set.of(), Set.of(), bugs), KEEPER);
    create("beside", 1);
    create(VOLUME, 3);
    await("the volume is not led", () -> nodes.stream().anyMatch(this::leads));
    original = members();
    away = nodes.get(original.get((int) (seed % 3)) - 1);
    forgetful = nodes.get(original.get((int) ((seed + 1) % 3)) - 1);
    writeCheckpoint(forgetful, 0);
    away.kill();
    List<String> _ = ask(node -> node.removeNode(away.number, true));
    await("the replica is not rebuilt", () -> isSettledWithout(away));
    List<String> _ = ask(node -> node.drainNode(forgetful.number, 0, false));
    await("the node is not drained", () -> isSettledWithout(forgetful));
    await("the replica is not dropped", () -> replica(forgetful) == null);
  }

  /** Returns whether one of the two leads, and what its term began with is committed. */
  private boolean commitsWithin() {
    long end = network.nowNs() + APART_NS;
    boolean commits = false;
    while (network.nowNs() < end && !commits) {
      cycle();
      commits = leads(away) || leads(forgetful);
    }
    assertThat(nodes.stream().filter(node -> node != away && node != forgetful))
        .as("the group goes on without them")
        .anyMatch(this::leads);
    return commits;
  }

  /** When they are heard again all is as the catalogue says. */
  private void requireRecovery() {
    network.heal();
    await(
        "the nodes do not get well",
        () -> {
          NodesStatus status = status();
          return status != null
              && status.moves().isEmpty()
              && nodes.stream().allMatch(ClusterNode::isHealthy)
              && nodes.stream()
                  .allMatch(node -> (replica(node) != null) == members().contains(node.number));
        });
    assertThat(members()).hasSize(3).doesNotContain(away.number);
  }

  private boolean leads(ClusterNode node) {
    Replica replica = replica(node);
    return replica != null
        && replica.leads()
        && replica.committedIndex() >= replica.firstIndexOfTerm();
  }

  /** Returns a node's replica of the volume, or null. */
  private static Replica replica(ClusterNode node) {
    if (!node.isOpen()) {
      return null;
    }
    return node.node().store(OTHER_LOG).volumes().stream()
        .map(volume -> volume.group().replica())
        .findFirst()
        .orElse(null);
  }

  private boolean isSettledWithout(ClusterNode node) {
    NodesStatus status = status();
    return status != null && status.moves().isEmpty() && !members().contains(node.number);
  }

  /** Returns how nodes are as the leader of the catalogue says; null when there is none. */
  private NodesStatus status() {
    ClusterNode leader = leader();
    return leader == null ? null : leader.nodesStatus();
  }

  private List<Integer> members() {
    ClusterNode leader = leader();
    if (leader == null) {
      return List.of();
    }
    return leader.node().entries().stream()
        .filter(entry -> entry.name().equals(VOLUME))
        .findFirst()
        .map(Catalogue.Entry::wanted)
        .orElse(List.of());
  }
}
