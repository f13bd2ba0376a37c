package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.main.ConfigLoader;
import io.plinth.target.main.ServerConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClusterInitTest {
  @TempDir Path directory;

  private Run init(String... more) {
    List<String> arguments = new ArrayList<>(List.of("cluster", "init", "--name", "lab"));
    arguments.addAll(List.of("--cores", "2"));
    arguments.addAll(List.of("--config", file().toString()));
    arguments.addAll(List.of("--node", "1=10.0.0.1:10830,rack=a"));
    arguments.addAll(List.of("--node", "2=10.0.0.2:10830,admin=10.0.1.2:1,rack=b"));
    arguments.addAll(List.of(more));
    return Run.of(arguments.toArray(String[]::new));
  }

  private Path file() {
    return directory.resolve("plinth.toml");
  }

  @Test
  void theConfigurationIsThatOfTheNode() throws Exception {
    Run run = init("--self", "2");
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains("is that of node 2 of cluster lab; next:", "plinth serve --config " + file())
        .contains("on node 1: the same command with --self 1")
        .contains("plinth cluster status --admin 10.0.1.2:1");
    ServerConfig config = ConfigLoader.load(file()).build();
    assertThat(config.cores()).isEqualTo(2);
    assertThat(config.adminListen().toString()).isEqualTo("10.0.1.2:1");
    ServerConfig.Cluster cluster = config.cluster().orElseThrow();
    assertThat(cluster.node()).isEqualTo(2);
    assertThat(cluster.joins()).isFalse();
    assertThat(cluster.members())
        .containsExactly(
            new ClusterMap.Member(1, "10.0.0.1", 10_830, "10.0.0.1:10810", "a"),
            new ClusterMap.Member(2, "10.0.0.2", 10_830, "10.0.1.2:1", "b"));

    Run again = init("--self", "2");
    assertThat(again.exitCode()).isEqualTo(1);
    assertThat(again.err()).contains("plinth.toml is there already: remove it");
  }

  @Test
  void whatIsNoConfigurationIsNotWritten() {
    Run run = init("--self", "2", "--node", "2=10.0.0.3:10830");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("node 2 is given twice");
    assertThat(file()).doesNotExist();
  }

  @Test
  void aDirectoryThatBelongsToANodeIsRefused() throws Exception {
    Path data = Files.createDirectories(directory.resolve("plinth-data"));
    Files.writeString(data.resolve("cluster"), "cluster=a\nnode=7\nmembers=7\nstate=new\n");
    Run run = init("--self", "1");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("belongs to node 7 of cluster a already");
    assertThat(file()).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "3 | 3=10.0.0.3 | bad node 3=10.0.0.3: bad address \"10.0.0.3\": expected HOST:PORT",
        "3 | three=h:1 | bad node three=h:1: expected NUMBER=HOST:PORT",
        "3 | 3=h:0 | bad node 3=h:0: the port must not be 0",
        "3 | 3=h:1,at=b | expected admin=HOST:PORT or rack=NAME, not at=b",
        "4 | 3=h:1 | --self 4 is none of the given nodes"
      })
  void whatIsNoNodeIsSaid(String self, String node, String why) {
    Run run = init("--self", self, "--node", node);
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).contains(why);
  }
}
