package io.plinth.target.main;

import io.plinth.target.cluster.ClusterMap;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a node asks before it joins a cluster: the admin API of the nodes that its configuration
 * names, and of those that these name, until one knows of it. So what is wrong is said by the
 * start, and not by a node that waits for ever.
 */
final class Introduction {
  private static final Duration TIMEOUT = Duration.ofSeconds(5);
  private static final JsonMapper JSON = JsonMapper.shared();

  private final ServerConfig.Cluster cluster;
  private final int cores;
  private final ArrayDeque<String> toAsk = new ArrayDeque<>();
  private final Set<String> asked = new TreeSet<>();

  private Introduction(ServerConfig.Cluster cluster, int cores) {
    this.cluster = cluster;
    this.cores = cores;
  }

  /**
   * Returns the nodes of the cluster as one of them knows them, this one among them.
   *
   * @param cores how many this node has
   * @throws StartupException when this node can't join; one line
   */
  static List<ClusterMap.Member> ask(ServerConfig.Cluster cluster, int cores)
      throws StartupException {
    return new Introduction(cluster, cores).run();
  }

  private List<ClusterMap.Member> run() throws StartupException {
    for (ClusterMap.Member member : cluster.members()) {
      boolean _ = member.number() != cluster.node() && toAsk.add(member.admin());
    }
    String answered = null;
    List<String> problems = new ArrayList<>();
    while (!toAsk.isEmpty()) {
      String admin = toAsk.remove();
      if (!asked.add(admin)) {
        continue;
      }
      JsonNode answer;
      try {
        answer = get(admin);
      } catch (IOException e) {
        problems.add(admin + " (" + reason(e) + ")");
        continue;
      }
      List<ClusterMap.Member> members = members(admin, answer);
      Optional<ClusterMap.Member> self =
          members.stream().filter(member -> member.number() == cluster.node()).findFirst();
      if (self.isPresent()) {
        requireSame(admin, self.get());
        return members;
      }
      answered = admin;
      members.forEach(member -> toAsk.add(member.admin()));
    }
    throw new StartupException(
        answered == null
            ? "can't join cluster "
                + cluster.name()
                + ": no node of it answers at "
                + String.join(", ", problems)
            : "node "
                + cluster.node()
                + " is not in the catalogue of cluster "
                + cluster.name()
                + ": run 'plinth cluster join --admin "
                + answered
                + " --node "
                + cluster.node()
                + "=HOST:PORT' first");
  }

  private static String reason(IOException e) {
    return e.getMessage() == null ? "connection refused" : e.getMessage();
  }

  private static JsonNode get(String admin) throws IOException {
    // The nodes are near or named by a person: a proxy for the web has no part in this.
    try (HttpClient client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .proxy(HttpClient.Builder.NO_PROXY)
            .connectTimeout(TIMEOUT)
            .build()) {
      HttpRequest request =
          HttpRequest.newBuilder(URI.create("http://" + admin + "/v1/cluster"))
              .timeout(TIMEOUT)
              .build();
      HttpResponse<String> answer =
          client.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
      JsonNode document = JSON.readTree(answer.body());
      if (answer.statusCode() != 200) {
        throw new IOException(document.path("error").path("message").asString("no cluster"));
      }
      return document;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } catch (JacksonException | IllegalArgumentException e) {
      throw new IOException("no admin API of Plinth", e);
    }
  }

  private List<ClusterMap.Member> members(String admin, JsonNode answer) throws StartupException {
    String name = answer.path("name").asString("");
    if (!name.equals(cluster.name())) {
      throw new StartupException(
          "the node at " + admin + " is of cluster " + name + ", not of " + cluster.name());
    }
    if (!answer.path("cores").isInt()) {
      throw new StartupException("the node at " + admin + " is of a version that no node can join");
    }
    int theirs = answer.get("cores").intValue();
    if (theirs != cores) {
      throw new StartupException(
          "all nodes must have as many cores: those of cluster "
              + name
              + " have "
              + theirs
              + ", and 'cores' is "
              + cores
              + " here");
    }
    List<ClusterMap.Member> members = new ArrayList<>();
    for (JsonNode one : answer.path("members")) {
      ListenAddress address = ListenAddress.parse(one.path("address").asString(""));
      members.add(
          new ClusterMap.Member(
              one.path("node").intValue(),
              address.host(),
              address.port(),
              one.path("admin").asString(""),
              one.path("rack").asString("")));
    }
    return members;
  }

  private void requireSame(String admin, ClusterMap.Member told) throws StartupException {
    ClusterMap.Member own =
        cluster.members().stream()
            .filter(member -> member.number() == cluster.node())
            .findFirst()
            .orElseThrow();
    if (!PlinthServer.resolved(own).address(0).equals(told.address(0))) {
      throw new StartupException(
          "node "
              + told.number()
              + " is at "
              + told.address(0)
              + " for cluster "
              + cluster.name()
              + " (the node at "
              + admin
              + " says so), and at "
              + own.address(0)
              + " by its own configuration");
    }
  }
}
