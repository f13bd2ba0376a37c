package io.plinth.target.main;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.Posix;
import io.plinth.target.cluster.ClusterMap;
import java.io.IOException;
import java.io.StringReader;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The file {@value #NAME} of a data directory: which node of which cluster it belongs to. So a
 * directory is never served as another node's, whose promises it does not know.
 *
 * <pre>
 *  cluster=lab
 *  node=2
 *  members=1 2 3
 *  state=new | member
 *  joined=true
 * </pre>
 *
 * The last line is there if the node has joined a cluster that had begun without it; then the
 * members are those that it was told of when it joined, and the catalogue says who they are.
 *
 * <p>A node is new until it has begun all replicas that it may have had before its directory was
 * empty: what it promised then is forgotten, so that they count for nothing before they have caught
 * up.
 */
public final class ClusterFile {
  static final String NAME = "cluster";

  private final Path directory;

  private ClusterFile(Path directory) {
    this.directory = directory;
  }

  /** Asks a cluster that a node is to join whether it may, and who its nodes are. */
  @FunctionalInterface
  interface Introduction {
    /** Returns the nodes as others know them; refuses with one line. */
    List<ClusterMap.Member> ask(ServerConfig.Cluster cluster) throws StartupException;
  }

  /** Returns the file of a data directory. */
  public static ClusterFile in(Path directory) {
    return new ClusterFile(directory);
  }

  /**
   * Makes sure that a configuration is the one that the directory belongs to, and takes a new one
   * for it.
   *
   * @param hasLogs whether it has been used
   * @param introduction asked for a node that joins and has not been given the catalogue
   * @throws StartupException when it belongs to something else; one line
   */
  ClusterMap claim(
      Optional<ServerConfig.Cluster> wanted, boolean hasLogs, Introduction introduction)
      throws StartupException {
    try {
      Optional<ClusterMap> found = read();
      if (wanted.isEmpty()) {
        if (found.isPresent()) {
          throw new StartupException(
              "data directory "
                  + directory
                  + " belongs to "
                  + describe(found.get())
                  + ": serve it with that node's configuration");
        }
        return ClusterMap.alone();
      }
      ServerConfig.Cluster cluster = wanted.get();
      ClusterMap claimed = map(cluster, true);
      if (found.isEmpty()) {
        if (hasLogs) {
          throw new StartupException(
              "data directory "
                  + directory
                  + " was used by a node that is in no cluster: a node joins one with an empty"
                  + " directory");
        }
        if (cluster.joins()) {
          claimed = map(cluster.with(introduction.ask(cluster)), true);
        }
        write(claimed);
        return claimed;
      }
      check(found.get(), claimed);
      boolean isAsked = cluster.joins() && found.get().isNew();
      return map(isAsked ? cluster.with(introduction.ask(cluster)) : cluster, found.get().isNew());
    } catch (IOException e) {
      throw new StartupException(
          "can't use data directory " + directory + ": " + DataDirectory.reason(e), e);
    }
  }

  private static ClusterMap map(ServerConfig.Cluster cluster, boolean isNew) {
    return new ClusterMap(
        cluster.name(), cluster.node(), isNew, cluster.joins(), cluster.members());
  }

  private void check(ClusterMap found, ClusterMap claimed) throws StartupException {
    boolean same = found.name().equals(claimed.name()) && found.self() == claimed.self();
    if (!same) {
      throw new StartupException(
          "data directory "
              + directory
              + " belongs to "
              + describe(found)
              + ", not to "
              + describe(claimed));
    }
    if (found.joined() != claimed.joined()) {
      throw new StartupException(
          "data directory "
              + directory
              + " belongs to "
              + describe(found)
              + (found.joined()
                  ? ", which has joined it: its configuration needs 'cluster.join = true'"
                  : ", which the cluster has begun with: leave 'cluster.join' out"));
    }
    if (!found.joined() && !numbers(found).equals(numbers(claimed))) {
      throw new StartupException(
          "data directory "
              + directory
              + " belongs to a cluster of the nodes "
              + numbers(found)
              + ", and the configuration names "
              + numbers(claimed)
              + ": these are the nodes that a cluster begins with; others join with 'plinth cluster"
              + " join', and are in no other node's configuration");
    }
  }

  /** This node has begun all that it may have lost. */
  void settle(ClusterMap cluster) throws IOException {
    write(
        new ClusterMap(cluster.name(), cluster.self(), false, cluster.joined(), cluster.members()));
  }

  /**
   * Returns the cluster that the directory belongs to, without the addresses of its nodes; empty
   * when it belongs to none.
   *
   * @throws IOException when it can't be read, or says something else
   */
  public Optional<ClusterMap> read() throws IOException {
    Path file = directory.resolve(NAME);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    Properties values = new Properties();
    values.load(new StringReader(Files.readString(file)));
    try {
      List<ClusterMap.Member> members =
          Pattern.compile(" +")
              .splitAsStream(value(values, "members"))
              .map(number -> new ClusterMap.Member(Integer.parseInt(number), "", 0, "", ""))
              .toList();
      return Optional.of(
          new ClusterMap(
              value(values, "cluster"),
              Integer.parseInt(value(values, "node")),
              value(values, "state").equals("new"),
              Boolean.parseBoolean(values.getProperty("joined")),
              members));
    } catch (IllegalArgumentException e) {
      throw new IOException("file " + NAME + " in it makes no sense", e);
    }
  }

  private static String value(Properties values, String key) {
    String value = values.getProperty(key);
    if (value == null) {
      throw new IllegalArgumentException(key);
    }
    return value;
  }

  private void write(ClusterMap cluster) throws IOException {
    String text =
        "cluster="
            + cluster.name()
            + "\nnode="
            + cluster.self()
            + "\nmembers="
            + numbers(cluster)
            + "\nstate="
            + (cluster.isNew() ? "new" : "member")
            + (cluster.joined() ? "\njoined=true\n" : "\n");
    Path written = directory.resolve(NAME + ".new");
    try (FileChannel channel =
        FileChannel.open(
            written,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      int _ = channel.write(StandardCharsets.UTF_8.encode(text));
      channel.force(true);
    }
    Files.move(written, directory.resolve(NAME), StandardCopyOption.ATOMIC_MOVE);
    int synced = Posix.syncDirectory(directory.toString());
    if (synced < 0) {
      throw new IOException(Status.name(synced));
    }
  }

  private static String describe(ClusterMap cluster) {
    return "node " + cluster.self() + " of cluster " + cluster.name();
  }

  private static String numbers(ClusterMap cluster) {
    return IntStream.of(cluster.numbers())
        .mapToObj(Integer::toString)
        .collect(Collectors.joining(" "));
  }
}
