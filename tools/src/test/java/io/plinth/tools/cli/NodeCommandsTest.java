package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.admin.AdminBindException;
import io.plinth.target.admin.AdminOptions;
import io.plinth.target.admin.AdminServer;
import io.plinth.target.admin.NodesInfo;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class NodeCommandsTest {
  private final FakeNode node = new FakeNode();
  private AdminServer server;

  @BeforeEach
  void start() throws AdminBindException {
    server = AdminServer.start(node, AdminOptions.at("127.0.0.1", 0));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private Run run(String... args) {
    String[] all = Arrays.copyOf(args, args.length + 2);
    all[args.length] = "--admin";
    all[args.length + 1] = server.address();
    return Run.of(all);
  }

  private static NodesInfo.NodeState third(String state, int replicas, String... words) {
    return new NodesInfo.NodeState(3, state, 0, replicas, List.of(words));
  }

  private static NodesInfo nodes(NodesInfo.NodeState third, String... moves) {
    NodesInfo.NodeState first = new NodesInfo.NodeState(1, "active", 0, 2, List.of());
    return new NodesInfo(List.of(first, third), List.of(moves));
  }

  @Test
  void nodesAreListedWithWhatIsWrongAndWhatIsOnItsWay() {
    node.answerNodesWith(
        nodes(
            third("failed", 1, "not heard for 11 min", "its replicas are rebuilt"),
            "volume demo: from node 3 to node 4"));
    assertThat(run("node", "list"))
        .isEqualTo(
            new Run(
                0,
                """
                NODE  STATE   REPLICAS
                1     active         2
                3     failed         1  not heard for 11 min
                                        its replicas are rebuilt
                moves: volume demo: from node 3 to node 4
                """,
                ""));
    JsonNode list = Json.parse(run("node", "list", "--json").out());
    assertThat(list.get("nodes").get(1).get("words")).hasSize(2);
    assertThat(list.get("moves")).hasSize(1);
  }

  @Test
  void oneNodeIsShown() {
    node.answerNodesWith(nodes(third("draining", 1, "its replicas go to other nodes")));
    assertThat(run("node", "show", "3"))
        .isEqualTo(
            new Run(
                0,
                """
                state     draining
                replicas  1
                          its replicas go to other nodes
                """,
                ""));
    assertThat(Json.parse(run("node", "show", "3", "--json").out()).get("state").stringValue())
        .isEqualTo("draining");
    assertThat(run("node", "show", "2")).isEqualTo(new Run(1, "", "plinth: there is no node 2\n"));
  }

  @Test
  void aDrainIsWaitedForAndShowsHowFarItIs() {
    node.answerNodesWith(
        nodes(third("draining", 2, "2 are left")),
        nodes(third("draining", 2, "2 are left")),
        nodes(third("draining", 1, "1 is left")),
        nodes(third("draining", 0, "it has no replicas any more")));
    assertThat(run("node", "replace", "3", "4", "--wait"))
        .isEqualTo(
            new Run(
                0,
                """
                node 3 is being replaced by 4
                volume demo: to node 4
                node 3: 2 are left
                node 3: 1 is left
                """,
                ""));
  }

  @Test
  void whoeverWaitsForADrainIsToldThatItWasTurnedBack() {
    node.answerNodesWith(nodes(third("draining", 2)), nodes(third("active", 2)));
    Run run = run("node", "drain", "3", "--wait");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).isEqualTo("plinth: node 3 is in service again\n");
  }

  @Test
  void badNumbersAreRefused() {
    node.answerNodesWith(nodes(third("active", 0)));
    assertThat(run("node", "drain", "0"))
        .isEqualTo(new Run(1, "", "plinth: bad node 0: expected 1 to 65535\n"));
    assertThat(run("node", "replace", "3", "0"))
        .isEqualTo(
            new Run(
                1, "", "plinth: field 'replacement' must be the number of a node, 1 to 65535\n"));
    assertThat(run("node", "drain", "three").exitCode()).isEqualTo(2);
    assertThat(run("node", "drain").exitCode()).isEqualTo(2);
    assertThat(Run.of("node").err()).contains("a command is missing: list, show, drain,");
  }

  @Test
  void aNodeWithoutAClusterSaysSo() {
    for (String[] command :
        List.of(
            new String[] {"node", "list"},
            new String[] {"node", "drain", "3"},
            new String[] {"node", "undrain", "3"},
            new String[] {"node", "remove", "3"})) {
      assertThat(run(command)).isEqualTo(new Run(1, "", "plinth: this node is in no cluster\n"));
    }
  }
}
