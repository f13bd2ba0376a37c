package io.plinth.target.main;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.cluster.ClusterMap;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClusterFileTest {
  private static final ClusterFile.Introduction NOBODY =
      cluster -> {
        throw new StartupException("nobody is asked");
      };

  @TempDir Path directory;

  private ClusterFile file() {
    return ClusterFile.in(directory);
  }

  private static Optional<ServerConfig.Cluster> cluster(String name, int node, int... members) {
    List<ClusterMap.Member> all =
        IntStream.of(members)
            .mapToObj(number -> new ClusterMap.Member(number, "127.0.0.1", 1, "127.0.0.1:2", ""))
            .toList();
    return Optional.of(new ServerConfig.Cluster(name, node, all, false, 30, 600));
  }

  @Test
  void aNewDirectoryIsTakenAndIsNewUntilItIsSettled() throws Exception {
    ClusterMap claimed = file().claim(cluster("lab", 2, 1, 2, 3), false, NOBODY);
    assertThat(claimed.isNew()).isTrue();
    assertThat(file().claim(cluster("lab", 2, 1, 2, 3), true, NOBODY).isNew()).isTrue();
    file().settle(claimed);
    ClusterMap again = file().claim(cluster("lab", 2, 1, 2, 3), true, NOBODY);
    assertThat(again.isNew()).isFalse();
    assertThat(again.numbers()).containsExactly(1, 2, 3);
    assertThat(file().read().orElseThrow().self()).isEqualTo(2);
  }

  @Test
  void withoutAClusterThereIsNoFile() throws Exception {
    assertThat(file().claim(Optional.empty(), true, NOBODY).isAlone()).isTrue();
    assertThat(file().read()).isEmpty();
  }

  @Test
  void whatBelongsToSomethingElseIsRefused() throws Exception {
    ClusterMap _ = file().claim(cluster("lab", 2, 1, 2, 3), false, NOBODY);
    assertRefused(Optional.empty(), "belongs to node 2 of cluster lab: serve it with");
    assertRefused(cluster("lab", 1, 1, 2, 3), "belongs to node 2 of cluster lab, not to node 1");
    assertRefused(cluster("prod", 2, 1, 2, 3), "not to node 2 of cluster prod");
    assertRefused(cluster("lab", 2, 1, 2), "the nodes 1 2 3, and the configuration names 1 2:");
  }

  private void assertRefused(Optional<ServerConfig.Cluster> wanted, String message) {
    assertThatThrownBy(() -> file().claim(wanted, true, NOBODY))
        .isInstanceOf(StartupException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aDirectoryThatWasUsedWithoutAClusterIsRefused() {
    assertThatThrownBy(() -> file().claim(cluster("lab", 1, 1, 2, 3), true, NOBODY))
        .isInstanceOf(StartupException.class)
        .hasMessageContaining("was used by a node that is in no cluster");
    assertThat(directory.resolve(ClusterFile.NAME)).doesNotExist();
  }

  private static Optional<ServerConfig.Cluster> joining(String name, int node, int... members) {
    ServerConfig.Cluster plain = cluster(name, node, members).orElseThrow();
    return Optional.of(new ServerConfig.Cluster(name, node, plain.members(), true, 30, 600));
  }

  @Test
  void whoJoinsAsksUntilItIsAMember() throws Exception {
    ClusterFile.Introduction all = given -> cluster("lab", 4, 1, 2, 3, 4).orElseThrow().members();
    assertThatThrownBy(() -> file().claim(joining("lab", 4, 1, 4), false, NOBODY))
        .hasMessage("nobody is asked");
    assertThat(directory.resolve(ClusterFile.NAME)).doesNotExist();
    ClusterMap claimed = file().claim(joining("lab", 4, 1, 4), false, all);
    assertThat(claimed.numbers()).containsExactly(1, 2, 3, 4);
    assertThat(claimed.first()).containsExactly(1, 2, 3);
    assertThat(file().claim(joining("lab", 4, 1, 4), true, all).isNew()).isTrue();
    file().settle(claimed);
    ClusterMap again = file().claim(joining("lab", 4, 2, 4), true, NOBODY);
    assertThat(again.joined()).isTrue();
    assertThat(again.isNew()).isFalse();
    assertThat(again.numbers()).containsExactly(2, 4);
    assertRefused(cluster("lab", 4, 2, 4), "has joined it: its configuration needs 'cluster.join");
  }

  @Test
  void whatMakesNoSenseIsSaid() throws IOException {
    for (String text : List.of("", "cluster=lab\nnode=x\nmembers=1 2\nstate=new\n", "node=1\n")) {
      Files.writeString(directory.resolve(ClusterFile.NAME), text);
      assertThatThrownBy(() -> file().claim(cluster("lab", 1, 1, 2), true, NOBODY))
          .isInstanceOf(StartupException.class)
          .hasMessageEndingWith("file cluster in it makes no sense");
    }
  }
}
