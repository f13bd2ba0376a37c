package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.cluster.MovePlan.NodeView;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class MovePlanTest {
  private static Catalogue.Entry volume(int group, Integer... members) {
    return new Catalogue.Entry(
        group,
        0,
        "v" + group,
        1L << 20,
        FlushPolicy.FLUSH,
        VolumeSettings.DEFAULT,
        List.of(members));
  }

  private static NodeView node(int number, String rack) {
    return new NodeView(number, rack, true, true, false, 0);
  }

  private static NodeView leaves(int number, String rack, int replacement) {
    return new NodeView(number, rack, false, true, true, replacement);
  }

  private static MovePlan plan(List<NodeView> nodes, Catalogue.Entry... entries) {
    return MovePlan.of(List.of(entries), nodes);
  }

  @Test
  void nothingMovesWhileAllIsWell() {
    MovePlan plan = plan(List.of(node(1, "a"), node(2, "b"), node(3, "c")), volume(1, 1, 2, 3));
    assertThat(plan.moves()).isEmpty();
    assertThat(plan.blocked()).isEmpty();
  }

  @Test
  void aReplicaGoesToWhoHasNoneAndKeepsRacksApart() {
    List<NodeView> nodes =
        List.of(node(1, "a"), node(2, "b"), leaves(3, "c", 0), node(4, "a"), node(5, "c"));
    for (int group = 1; group < 50; group++) {
      MovePlan plan = plan(nodes, volume(group, 1, 2, 3));
      assertThat(plan.moves()).hasSize(1);
      assertThat(plan.moves().get(0).to()).as("the one in no used rack").isEqualTo(5);
      assertThat(plan.moves().get(0).target()).containsExactly(1, 2, 5);
    }
  }

  @Test
  void wherePlacesAreEqualAllAreUsed() {
    List<NodeView> nodes =
        List.of(node(1, "1"), node(2, "2"), leaves(3, "3", 0), node(4, "4"), node(5, "5"));
    List<Integer> targets = new ArrayList<>();
    for (int group = 1; group < 50; group++) {
      targets.add(plan(nodes, volume(group, 1, 2, 3)).moves().get(0).to());
    }
    assertThat(targets).containsOnly(4, 5).contains(4, 5);
  }

  @Test
  void aReplacementIsPreferred() {
    List<NodeView> nodes =
        List.of(node(1, "a"), node(2, "b"), leaves(3, "c", 4), node(4, "a"), node(5, "c"));
    assertThat(plan(nodes, volume(1, 1, 2, 3)).moves().get(0).to()).isEqualTo(4);
    assertThat(plan(nodes, volume(1, 1, 3, 4)).moves().get(0).to())
        .as("it has one already")
        .isIn(2, 5);
  }

  @Test
  void nothingBeginsOnANodeThatIsNotHeardNow() {
    NodeView silent = new NodeView(4, "d", true, false, false, 0);
    MovePlan plan =
        plan(List.of(node(1, "a"), node(2, "b"), leaves(3, "c", 0), silent), volume(1, 1, 2, 3));
    assertThat(plan.moves()).isEmpty();
    assertThat(plan.blocked().get(0).node()).isEqualTo(3);
  }

  @Test
  void whatCanNotMoveIsSaidInWords() {
    List<NodeView> three = List.of(node(1, "a"), node(2, "b"), leaves(3, "c", 0));
    assertThat(plan(three, volume(1, 1, 2, 3)).blocked())
        .containsExactly(
            new MovePlan.Blocked(
                "v1",
                3,
                "there is nowhere to go: 3 replicas need as many nodes in service, and there are 2"));
    assertThat(plan(three, volume(2, 3)).blocked())
        .containsExactly(
            new MovePlan.Blocked(
                "v2", 3, "it is the only replica, and only volumes with several can be moved"));
  }

  @Test
  void oneReplicaOfAVolumeAtATime() {
    List<NodeView> nodes =
        List.of(leaves(1, "a", 0), leaves(2, "b", 0), node(3, "c"), node(4, "d"), node(5, "e"));
    Catalogue.Entry entry = volume(1, 1, 2, 3);
    MovePlan.Move first = plan(nodes, entry).moves().get(0);
    assertThat(first.from()).isEqualTo(1);
    assertThat(plan(nodes, entry.moving(1, first.target())).moves()).isEmpty();
  }

  @Test
  void aMoveIsTurnedBackWhenItIsWantedNoMoreOrCanNotEnd() {
    Catalogue.Entry moving = volume(1, 1, 2, 3).moving(1, List.of(1, 2, 4));
    List<NodeView> back = List.of(node(1, "a"), node(2, "b"), node(3, "c"), node(4, "d"));
    MovePlan plan = plan(back, moving);
    assertThat(plan.moves()).hasSize(1);
    assertThat(plan.moves().get(0).target()).containsExactly(1, 2, 3);
    NodeView gone = new NodeView(4, "d", false, false, false, 0);
    List<NodeView> lost = List.of(node(1, "a"), node(2, "b"), leaves(3, "c", 0), gone);
    assertThat(plan(lost, moving).moves().get(0).target()).containsExactly(1, 2, 3);
    List<NodeView> right = List.of(node(1, "a"), node(2, "b"), leaves(3, "c", 0), node(4, "d"));
    assertThat(plan(right, moving).moves()).isEmpty();
    Catalogue.Entry turned = volume(1, 1, 2, 3).moving(2, List.of(1, 2, 3));
    assertThat(plan(lost, turned).moves()).as("it is on its way back").isEmpty();
  }
}
