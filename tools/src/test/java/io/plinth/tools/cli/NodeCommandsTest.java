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
  void whoWaitsForWhatNobodyCanTakeIsToldWhyAndWhenTheTimeIsOver() {
    node.answerNodesWith(
        nodes(third("draining", 1, "1 are left", "the replica of volume demo stays: no room")));
    assertThat(run("node", "drain", "3", "--wait", "--timeout", "1"))
        .isEqualTo(
            new Run(
                1,
                """
                node 3 is being drained
                volume demo: to node 0
                node 3: 1 are left; the replica of volume demo stays: no room
                """,
                """
                plinth: node 3 has replicas still after 1s: 1 are left; the replica of volume demo stays: \
                no room
                """));
    Run json = run("node", "replace", "3", "4", "--wait", "--timeout", "1", "--json");
    assertThat(json.exitCode()).isEqualTo(1);
    assertThat(json.err()).contains("timed_out", "the replica of volume demo stays: no room");
    for (String time : List.of("0", "-1", "soon", "31536001")) {
      assertThat(run("node", "drain", "3", "--wait", "--timeout", time).exitCode()).isEqualTo(2);
    }
    assertThat(run("node", "drain", "3", "--timeout", "1"))
        .isEqualTo(new Run(2, "", "plinth: option --timeout goes with --wait\n"));
  }

  @Test
  void optionsForTheServerMayStandInFrontOfTheCommand() {
    node.answerNodesWith(nodes(third("active", 1)));
    String address = server.address();
    Run behind = run("node", "list", "--json");
    assertThat(behind.exitCode()).isZero();
    for (String[] line :
        List.of(
            new String[] {"--admin", address, "--json", "node", "list"},
            new String[] {"--admin=" + address, "node", "--json", "list"},
            new String[] {"node", "--admin", address, "list", "--json"},
            // What is nearer to the command counts.
            new String[] {"--admin", "127.0.0.1:1", "--json", "node", "--admin", address, "list"},
            new String[] {
              "--admin", "127.0.0.1:1", "--json", "node", "list", "--admin", address
            })) {
      assertThat(Run.of(line)).isEqualTo(behind);
    }
    assertThat(Run.of("--json", "version").out()).startsWith("{");
    assertThat(Run.of("--admin", "nowhere", "node", "list").exitCode()).isEqualTo(2);
    assertThat(Run.of("--json", "--admin", "127.0.0.1:1", "node", "list").err()).startsWith("{");
    for (String command : List.of("serve", "version", "inspect x")) {
      String line = "--admin " + address + " " + command;
      assertThat(Run.of(line.split(" ")).err())
          .startsWith("plinth: option --admin can't be in front of ");
    }
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
