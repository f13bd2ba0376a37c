package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** {@code scripts/dev-cluster}: a partition of a node, as its administrators and clients see it. */
class DevClusterIT {
  @TempDir Path directory;

  @AfterEach
  void down() throws Exception {
    Run _ = dev("down");
  }

  @Test
  @Timeout(300)
  void aNodeThatIsCutOffIsHeardByItsClientsOnly() throws Exception {
    Run up = dev("up", "--proxies");
    assertThat(up.exitCode()).as("%s", up).isZero();
    assertThat(plinth(1, "volume", "create", "demo", "64M").exitCode()).isZero();
    int cut = await("a leader", () -> leader(1), leader -> leader > 0);
    int other = cut == 1 ? 2 : 1;
    assertThat(dev("partition", Integer.toString(cut)).exitCode()).isZero();

    // The others go on, and say that they do not hear it.
    int _ = await("another leader", () -> leader(other), leader -> leader > 0 && leader != cut);
    String _ =
        await(
            "a word about it",
            () -> plinth(other, "node", "show", Integer.toString(cut)).out(),
            text -> text.contains("not heard for"));
    assertThat(plinth(other, "volume", "set", "demo", "--description", "without it").exitCode())
        .isZero();
    // It answers whoever asks, and knows no leader.
    Run refused =
        await(
            "a refusal",
            () -> plinth(cut, "volume", "set", "demo", "--description", "by it"),
            run -> run.exitCode() == 1);
    assertThat(refused.err()).startsWith("plinth: no node leads ");
    Run status = dev("status");
    assertThat(status.exitCode()).as("%s", status).isZero();
    assertThat(status.out().lines().filter(line -> line.endsWith(", cut off from the others")))
        .singleElement()
        .asString()
        .startsWith("node " + cut + ": runs");

    assertThat(dev("heal", Integer.toString(cut)).exitCode()).isZero();
    String _ =
        await(
            "what happened meanwhile",
            () -> plinth(cut, "volume", "show", "demo").out(),
            text -> text.contains("without it"));
    assertThat(dev("status").out()).doesNotContain("cut off");

    // What is cut when the cluster ends is whole when it begins again.
    assertThat(dev("partition", "3").exitCode()).isZero();
    assertThat(dev("down").exitCode()).isZero();
    assertThat(Files.exists(data().resolve("cut"))).isFalse();
    assertThat(ProcessHandle.allProcesses().filter(this::isOurs)).isEmpty();
  }

  @Test
  @Timeout(120)
  void withoutProxiesNothingCanBeCut() throws Exception {
    Run up = dev("up", "--nodes", "1");
    assertThat(up.exitCode()).as("%s", up).isZero();
    Run refused = dev("partition", "1");
    assertThat(refused.exitCode()).isEqualTo(1);
    assertThat(refused.err()).contains("begin the cluster with 'up --proxies'");
    assertThat(dev("partition").exitCode()).isEqualTo(2);
    assertThat(dev("heal", "4").exitCode()).isEqualTo(2);
  }

  private boolean isOurs(ProcessHandle process) {
    String[] arguments = process.info().arguments().orElse(new String[0]);
    return List.of(arguments).stream().anyMatch(one -> one.contains(data().toString()));
  }

  private Path data() {
    return directory.resolve("cluster");
  }

  private int leader(int asked) throws Exception {
    Run run = plinth(asked, "volume", "show", "demo", "--json");
    if (run.exitCode() != 0) {
      return 0;
    }
    JsonNode leader = Json.parse(run.out()).get("replicas").get("leader");
    return leader != null && leader.isInt() ? leader.intValue() : 0;
  }

  private Run dev(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(arguments));
    command.add(0, Script.root().resolve("scripts/dev-cluster").toString());
    command.add("--data");
    command.add(data().toString());
    return run(command);
  }

  private Run plinth(int node, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(arguments));
    command.add(0, Script.root().resolve("scripts/plinth").toString());
    command.add(1, "--admin");
    command.add(2, "127.0.0.1:1092" + node);
    return run(command);
  }

  private Run run(List<String> command) throws IOException, InterruptedException {
    return Script.run(directory, Map.of("PLINTH_NO_BUILD", "1"), directory.resolve("run"), command);
  }

  /** Asks again and again for a minute. */
  private static <T> T await(String what, Callable<T> question, Predicate<T> enough)
      throws Exception {
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
    CountDownLatch never = new CountDownLatch(1);
    T answer = question.call();
    while (!enough.test(answer)) {
      assertThat(System.nanoTime()).as("%s: %s", what, answer).isLessThan(deadline);
      boolean _ = never.await(100, TimeUnit.MILLISECONDS);
      answer = question.call();
    }
    return answer;
  }
}
