package io.plinth.target.main;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.security.TlsFiles;
import io.plinth.target.security.VerifyClients;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.TlsMode;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Everything that a server is told before it starts. Immutable and valid: {@link Builder#build}
 * refuses the rest.
 *
 * @param dataDir the directory of the log; created when absent
 * @param cores engine threads, at least 1
 * @param nbd where and how NBD is served
 * @param adminListen where the admin API is served
 * @param log the space of the log
 * @param engine how the cores behave
 * @param volumes created at the start when absent
 * @param cluster the cluster that the node is in
 */
public record ServerConfig(
    Path dataDir,
    int cores,
    Nbd nbd,
    ListenAddress adminListen,
    Log log,
    Engine engine,
    List<VolumeSpec> volumes,
    Optional<Cluster> cluster) {

  /** The most engine threads. */
  public static final int MAXIMUM_CORES = 256;

  /** The most freed segments that may keep their files. */
  public static final int MAXIMUM_SPARE_SEGMENTS = 65_536;

  /** The fewest segments that a log can work with: some are left to the cleaner. */
  public static final int MINIMUM_SEGMENTS = 8;

  /**
   * The least memory that the pages of the index of a log may be limited to: one request may need
   * 20 of them at once, and many requests do at a time.
   */
  public static final long MINIMUM_INDEX_MEMORY = 16L << 20;

  /** How fast a scrub may be at least and at most, in bytes per second. */
  public static final long MINIMUM_SCRUB_RATE = 64L << 10;

  /** See {@link #MINIMUM_SCRUB_RATE}. */
  public static final long MAXIMUM_SCRUB_RATE = 1L << 40;

  /** For how long history is kept at least and at most, if it is. */
  public static final long MINIMUM_RETENTION_S = 10;

  /** See {@link #MINIMUM_RETENTION_S}. */
  public static final long MAXIMUM_RETENTION_S = TimeUnit.DAYS.toSeconds(365);

  /** How often scrubs may begin at most, and must at least. */
  public static final long MINIMUM_SCRUB_INTERVAL_S = 60;

  /** See {@link #MINIMUM_SCRUB_INTERVAL_S}. */
  public static final long MAXIMUM_SCRUB_INTERVAL_S = TimeUnit.DAYS.toSeconds(365);

  private static final int MINIMUM_PROCESSORS_TO_PIN = 4;

  /** The smallest and largest segment of the log, in bytes; a segment's size is a power of two. */
  public static final long MINIMUM_SEGMENT_BYTES = 64L << 20;

  /** See {@link #MINIMUM_SEGMENT_BYTES}. */
  public static final long MAXIMUM_SEGMENT_BYTES = 1L << 30;

  /** The longest time of an idle client that can be configured. */
  public static final long MAXIMUM_IDLE_TIMEOUT_S = TimeUnit.DAYS.toSeconds(365);

  /**
   * NBD.
   *
   * @param listen TCP addresses
   * @param unixPaths unix sockets
   * @param inheritedSockets descriptors of listening sockets that whoever started the process has
   *     made
   * @param defaultExport the volume that the empty export name selects; when absent, the only one
   * @param maxConnections attached clients at once, over all addresses
   * @param maxConnectionsPerVolume the same for each volume and each snapshot
   * @param idleTimeoutS seconds after which a client that asks for nothing is disconnected; 0 for
   *     never
   * @param resize clients may change the size of volumes
   * @param tls how connections are encrypted
   */
  public record Nbd(
      List<ListenAddress> listen,
      List<Path> unixPaths,
      List<Integer> inheritedSockets,
      Optional<String> defaultExport,
      int maxConnections,
      int maxConnectionsPerVolume,
      long idleTimeoutS,
      boolean resize,
      Tls tls) {
    /** Copies the lists. */
    public Nbd {
      listen = List.copyOf(listen);
      unixPaths = List.copyOf(unixPaths);
      inheritedSockets = List.copyOf(inheritedSockets);
    }
  }

  /**
   * TLS of NBD.
   *
   * @param mode of volumes that have none of their own
   * @param files certificates or keys; absent for no TLS
   */
  public record Tls(TlsMode mode, Optional<TlsFiles> files) {}

  /**
   * The log.
   *
   * @param segmentSizeBytes size of each segment, a power of two
   * @param capacityBytes what all logs together may use; 0 means the whole file system
   * @param spareSegments freed segments of each log that keep their files
   * @param residentMemoryBytes memory for the recent tail of all logs together
   * @param indexMemoryBytes memory that the pages of all indexes together may take; 0 for all that
   *     they need
   * @param scrubBytesPerSecond how fast all logs together are scrubbed; 0 for never
   * @param scrubIntervalS seconds from the begin of a scrub to that of the next; 0 for only when
   *     asked
   * @param retentionS for how many seconds volumes can be restored as they were; 0 for as long as
   *     it happens to be
   */
  public record Log(
      long segmentSizeBytes,
      long capacityBytes,
      long residentMemoryBytes,
      long indexMemoryBytes,
      int spareSegments,
      long scrubBytesPerSecond,
      long scrubIntervalS,
      long retentionS) {}

  /**
   * The cores.
   *
   * @param spinUs microseconds that a core goes on polling after recent work before it blocks; 0
   *     blocks at once
   * @param pinCores whether each core stays on a processor of its own
   * @param flushPolicy of volumes that name none
   */
  public record Engine(long spinUs, boolean pinCores, FlushPolicy flushPolicy) {}

  /**
   * The cluster that a node is in, the same for all of its nodes but for {@code node}.
   *
   * @param name of the cluster
   * @param node the number of this node
   * @param members all nodes that the cluster begins with, or of one that joins, itself and at
   *     least one other; in the order of their numbers
   * @param joins whether this node joins a cluster that runs without it: then the others are where
   *     to ask for the rest
   * @param unreachableS a node that is not heard for so many seconds can't be reached
   * @param rebuildS the replicas of one that is not heard for so many seconds are rebuilt elsewhere
   */
  public record Cluster(
      String name,
      int node,
      List<ClusterMap.Member> members,
      boolean joins,
      long unreachableS,
      long rebuildS) {
    /** Copies the list. */
    public Cluster {
      members = List.copyOf(members);
    }

    /** Returns the same with other nodes. */
    public Cluster with(List<ClusterMap.Member> others) {
      return new Cluster(name, node, others, joins, unreachableS, rebuildS);
    }
  }

  /** Copies the list. */
  public ServerConfig {
    volumes = List.copyOf(volumes);
  }

  /** Returns a builder with the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Half of the machine's processors, at least one: the clients on the same machine need the rest.
   */
  public static int defaultCores() {
    return Math.clamp(Runtime.getRuntime().availableProcessors() / 2, 1, MAXIMUM_CORES);
  }

  /** Whether cores are pinned: on small machines the clients would have too few processors left. */
  public static boolean defaultPinCores() {
    return Runtime.getRuntime().availableProcessors() >= MINIMUM_PROCESSORS_TO_PIN;
  }

  /**
   * Returns how much log data is kept in memory unless configured: a sixteenth of it, within 256
   * MiB and 4 GiB.
   */
  public static long defaultResidentMemory() {
    long physical =
        ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
            .getTotalMemorySize();
    return Math.clamp(physical / 16, 256L << 20, 4L << 30);
  }

  /** Collects values; each is judged when the configuration is built. */
  public static final class Builder {
    private Path dataDir = Path.of("plinth-data");
    private int cores = defaultCores();
    private final List<ListenAddress> nbdListen =
        new ArrayList<>(List.of(new ListenAddress("127.0.0.1", 10_809)));
    private final List<Path> nbdUnix = new ArrayList<>();
    private final List<Integer> inheritedSockets = new ArrayList<>();
    private Optional<String> defaultExport = Optional.empty();
    private int maxConnections = 4096;
    private int maxConnectionsPerVolume = 4096;
    private long idleTimeoutS;
    private boolean resize;
    private Optional<TlsMode> tls = Optional.empty();
    private Optional<Path> tlsCertificates = Optional.empty();
    private Optional<VerifyClients> tlsVerifyClients = Optional.empty();
    private Optional<Path> tlsPsk = Optional.empty();
    private ListenAddress adminListen = new ListenAddress("127.0.0.1", 10_810);
    private long segmentSizeBytes = 64L << 20;
    private long capacityBytes;
    private long residentMemoryBytes = defaultResidentMemory();
    private long indexMemoryBytes;
    private int spareSegments = 8;
    private long scrubBytesPerSecond = 16L << 20;
    private long scrubIntervalS = TimeUnit.DAYS.toSeconds(7);
    private long retentionS;
    private long spinUs = 50;
    private boolean pinCores = defaultPinCores();
    private FlushPolicy flushPolicy = FlushPolicy.FLUSH;
    private final List<VolumeSpec> volumes = new ArrayList<>();
    private Optional<String> clusterName = Optional.empty();
    private OptionalInt clusterNode = OptionalInt.empty();
    private final List<ClusterMap.Member> clusterMembers = new ArrayList<>();
    private boolean clusterJoins;
    private long clusterUnreachableS =
        TimeUnit.NANOSECONDS.toSeconds(KeeperSettings.DEFAULT.unreachableNs());
    private long clusterRebuildS =
        TimeUnit.NANOSECONDS.toSeconds(KeeperSettings.DEFAULT.rebuildNs());

    private Builder() {}

    /** Default {@code plinth-data} in the working directory. */
    @CanIgnoreReturnValue
    public Builder dataDir(Path value) {
      dataDir = value;
      return this;
    }

    /** Default {@link #defaultCores}. */
    @CanIgnoreReturnValue
    public Builder cores(int value) {
      cores = value;
      return this;
    }

    /** Replaces the TCP addresses; default 127.0.0.1:10809. */
    @CanIgnoreReturnValue
    public Builder nbdListen(List<ListenAddress> values) {
      nbdListen.clear();
      nbdListen.addAll(values);
      return this;
    }

    /** Replaces the unix sockets; default none. */
    @CanIgnoreReturnValue
    public Builder nbdUnix(List<Path> values) {
      nbdUnix.clear();
      nbdUnix.addAll(values);
      return this;
    }

    /** Serves these descriptors instead of all TCP addresses and unix sockets. */
    @CanIgnoreReturnValue
    public Builder onlyInheritedSockets(List<Integer> values) {
      nbdListen.clear();
      nbdUnix.clear();
      inheritedSockets.clear();
      inheritedSockets.addAll(values);
      return this;
    }

    /** Default none. */
    @CanIgnoreReturnValue
    public Builder defaultExport(String value) {
      defaultExport = Optional.of(value);
      return this;
    }

    /** Default 4096. */
    @CanIgnoreReturnValue
    public Builder maxConnections(int value) {
      maxConnections = value;
      return this;
    }

    /** Default 4096. */
    @CanIgnoreReturnValue
    public Builder maxConnectionsPerVolume(int value) {
      maxConnectionsPerVolume = value;
      return this;
    }

    /** Default never. */
    @CanIgnoreReturnValue
    public Builder idleTimeoutS(long value) {
      idleTimeoutS = value;
      return this;
    }

    /** Default false. */
    @CanIgnoreReturnValue
    public Builder resize(boolean value) {
      resize = value;
      return this;
    }

    /** Default {@link TlsMode#ALLOWED} when there are certificates or keys. */
    @CanIgnoreReturnValue
    public Builder tls(TlsMode value) {
      tls = Optional.of(value);
      return this;
    }

    /** The directory of certificates; see {@link TlsFiles}. Default none. */
    @CanIgnoreReturnValue
    public Builder tlsCertificates(Path value) {
      tlsCertificates = Optional.of(value);
      return this;
    }

    /** Default: required when there is an authority's certificate. */
    @CanIgnoreReturnValue
    public Builder tlsVerifyClients(VerifyClients value) {
      tlsVerifyClients = Optional.of(value);
      return this;
    }

    /** The file of pre-shared keys; see {@link TlsFiles}. Default none. */
    @CanIgnoreReturnValue
    public Builder tlsPsk(Path value) {
      tlsPsk = Optional.of(value);
      return this;
    }

    /** Default 127.0.0.1:10810. */
    @CanIgnoreReturnValue
    public Builder adminListen(ListenAddress value) {
      adminListen = value;
      return this;
    }

    /** Bytes; default 64 MiB. */
    @CanIgnoreReturnValue
    public Builder segmentSizeBytes(long value) {
      segmentSizeBytes = value;
      return this;
    }

    /** Bytes; default 0, the whole file system. */
    @CanIgnoreReturnValue
    public Builder capacityBytes(long value) {
      capacityBytes = value;
      return this;
    }

    /** Bytes; default {@link #defaultResidentMemory}. */
    @CanIgnoreReturnValue
    public Builder residentMemoryBytes(long value) {
      residentMemoryBytes = value;
      return this;
    }

    /** Bytes; default 0, which is no limit. */
    @CanIgnoreReturnValue
    public Builder indexMemoryBytes(long value) {
      indexMemoryBytes = value;
      return this;
    }

    /** Default 8. */
    @CanIgnoreReturnValue
    public Builder spareSegments(int value) {
      spareSegments = value;
      return this;
    }

    /** Bytes per second; default 16 MiB. */
    @CanIgnoreReturnValue
    public Builder scrubBytesPerSecond(long value) {
      scrubBytesPerSecond = value;
      return this;
    }

    /** Seconds; default 7 days. */
    @CanIgnoreReturnValue
    public Builder scrubIntervalS(long value) {
      scrubIntervalS = value;
      return this;
    }

    /** Seconds; default 0. */
    @CanIgnoreReturnValue
    public Builder retentionS(long value) {
      retentionS = value;
      return this;
    }

    /** Microseconds; default 50. */
    @CanIgnoreReturnValue
    public Builder spinUs(long value) {
      spinUs = value;
      return this;
    }

    /** Default {@link #defaultPinCores}. */
    @CanIgnoreReturnValue
    public Builder pinCores(boolean value) {
      pinCores = value;
      return this;
    }

    /** Default {@link FlushPolicy#FLUSH}. */
    @CanIgnoreReturnValue
    public Builder flushPolicy(FlushPolicy value) {
      flushPolicy = value;
      return this;
    }

    /** Returns the flush policy set so far, for volumes that name none. */
    public FlushPolicy flushPolicy() {
      return flushPolicy;
    }

    /** Adds a volume; default none. */
    @CanIgnoreReturnValue
    public Builder addVolume(VolumeSpec value) {
      volumes.add(value);
      return this;
    }

    /** Default: in no cluster. */
    @CanIgnoreReturnValue
    public Builder clusterName(String value) {
      clusterName = Optional.of(value);
      return this;
    }

    /** The number of this node in its cluster. */
    @CanIgnoreReturnValue
    public Builder clusterNode(int value) {
      clusterNode = OptionalInt.of(value);
      return this;
    }

    /** Default: 30 s. */
    @CanIgnoreReturnValue
    public Builder clusterUnreachableS(long value) {
      clusterUnreachableS = value;
      return this;
    }

    /** Default: 10 min. */
    @CanIgnoreReturnValue
    public Builder clusterRebuildS(long value) {
      clusterRebuildS = value;
      return this;
    }

    /** Whether this node joins a cluster that runs without it. */
    public Builder clusterJoins(boolean value) {
      clusterJoins = value;
      return this;
    }

    /** Replaces the nodes of the cluster. */
    @CanIgnoreReturnValue
    public Builder clusterMembers(List<ClusterMap.Member> values) {
      clusterMembers.clear();
      clusterMembers.addAll(values);
      return this;
    }

    /**
     * Judges everything.
     *
     * @throws ConfigException with one line that names the key
     */
    public ServerConfig build() throws ConfigException {
      range("cores", cores, 1, MAXIMUM_CORES);
      range("nbd.max-connections", maxConnections, 1, 1_000_000);
      range("nbd.max-connections-per-volume", maxConnectionsPerVolume, 1, 1_000_000);
      range("nbd.idle-timeout", idleTimeoutS, 0, MAXIMUM_IDLE_TIMEOUT_S);
      range("log.spare-segments", spareSegments, 0, MAXIMUM_SPARE_SEGMENTS);
      range("engine.spin-us", spinUs, 0, 1_000_000);
      checkLog();
      if (nbdListen.isEmpty() && nbdUnix.isEmpty() && inheritedSockets.isEmpty()) {
        throw new ConfigException(
            "nowhere to serve NBD: give an address in 'nbd.listen' or a path in 'nbd.unix'");
      }
      Set<String> names = new HashSet<>();
      for (VolumeSpec volume : volumes) {
        if (!names.add(volume.name())) {
          throw new ConfigException("volume '" + volume.name() + "' is given twice");
        }
      }
      return new ServerConfig(
          dataDir,
          cores,
          new Nbd(
              nbdListen,
              nbdUnix,
              inheritedSockets,
              defaultExport,
              maxConnections,
              maxConnectionsPerVolume,
              idleTimeoutS,
              resize,
              buildTls()),
          adminListen,
          new Log(
              segmentSizeBytes,
              capacityBytes,
              residentMemoryBytes,
              indexMemoryBytes,
              spareSegments,
              scrubBytesPerSecond,
              scrubIntervalS,
              retentionS),
          new Engine(spinUs, pinCores, flushPolicy),
          volumes,
          buildCluster());
    }

    private Optional<Cluster> buildCluster() throws ConfigException {
      boolean isNamed = clusterName.isPresent() || clusterNode.isPresent() || clusterJoins;
      if (!isNamed && clusterMembers.isEmpty()) {
        return Optional.empty();
      }
      if (clusterName.isEmpty() || clusterNode.isEmpty() || clusterMembers.isEmpty()) {
        throw new ConfigException(
            "a node of a cluster needs 'cluster.name', 'cluster.node' and 'cluster.member'");
      }
      range("cluster.member", clusterMembers.size(), 1, ClusterMap.MAXIMUM_MEMBERS);
      clusterMembers.sort(Comparator.comparingInt(ClusterMap.Member::number));
      for (int i = 1; i < clusterMembers.size(); i++) {
        if (clusterMembers.get(i).number() == clusterMembers.get(i - 1).number()) {
          throw new ConfigException(
              "node " + clusterMembers.get(i).number() + " is given twice in 'cluster.member'");
        }
      }
      int self = clusterNode.getAsInt();
      if (clusterMembers.stream().noneMatch(member -> member.number() == self)) {
        throw new ConfigException(
            "'cluster.node' is " + self + ", which is none of those in 'cluster.member'");
      }
      if (clusterJoins && clusterMembers.size() == 1) {
        throw new ConfigException(
            "a node with 'cluster.join' needs another one in 'cluster.member', which is asked for the"
                + " rest");
      }
      if (retentionS != 0) {
        throw new ConfigException(
            "'log.retention' can't be given to a node of a cluster: what its log holds may be"
                + " replaced by other nodes");
      }
      if (!volumes.isEmpty()) {
        throw new ConfigException(
            "a node of a cluster creates no volumes when it starts: leave volume '"
                + volumes.get(0).name()
                + "' out, and create it with 'plinth volume create'");
      }
      if (clusterRebuildS < clusterUnreachableS) {
        throw new ConfigException(
            "'cluster.rebuild-after' is "
                + clusterRebuildS
                + "s, and a node counts as unreachable only after "
                + clusterUnreachableS
                + "s: set 'cluster.unreachable-after' to less");
      }
      return Optional.of(
          new Cluster(
              clusterName.get(),
              self,
              clusterMembers,
              clusterJoins,
              clusterUnreachableS,
              clusterRebuildS));
    }

    private Tls buildTls() throws ConfigException {
      if (tlsCertificates.isPresent() && tlsPsk.isPresent()) {
        throw new ConfigException(
            "'nbd.tls-certificates' and 'nbd.tls-psk' can't both be given: a server has certificates"
                + " or pre-shared keys");
      }
      if (tlsVerifyClients.isPresent() && tlsCertificates.isEmpty()) {
        throw new ConfigException("'nbd.tls-verify-clients' needs 'nbd.tls-certificates'");
      }
      if (tlsCertificates.isEmpty() && tlsPsk.isEmpty()) {
        if (tls.isPresent() && tls.get() != TlsMode.OFF) {
          throw new ConfigException(
              "'nbd.tls' is \""
                  + tls.get().word()
                  + "\", for which 'nbd.tls-certificates' or 'nbd.tls-psk' is missing");
        }
        return new Tls(TlsMode.OFF, Optional.empty());
      }
      TlsFiles files =
          new TlsFiles(
              tlsCertificates.orElse(null), tlsVerifyClients.orElse(null), tlsPsk.orElse(null));
      return new Tls(tls.orElse(TlsMode.ALLOWED), Optional.of(files));
    }

    private void checkLog() throws ConfigException {
      if (Long.bitCount(segmentSizeBytes) != 1) {
        throw new ConfigException(
            "bad value for 'log.segment-size': expected a power of two, not "
                + Sizes.formatExact(segmentSizeBytes));
      }
      sizeRange("log.segment-size", segmentSizeBytes, MINIMUM_SEGMENT_BYTES, MAXIMUM_SEGMENT_BYTES);
      if (capacityBytes != 0) {
        sizeRange("log.capacity", capacityBytes, MINIMUM_SEGMENTS * segmentSizeBytes, 1L << 50);
      }
      sizeRange("log.resident-memory", residentMemoryBytes, 1L << 20, 1L << 42);
      if (indexMemoryBytes != 0 && indexMemoryBytes < cores * MINIMUM_INDEX_MEMORY) {
        throw new ConfigException(
            String.format(
                Locale.ROOT,
                "bad value for 'log.index-memory': expected at least %s for each core, which is %s, or 0"
                    + " for no limit, not %s",
                Sizes.formatExact(MINIMUM_INDEX_MEMORY),
                Sizes.formatExact(cores * MINIMUM_INDEX_MEMORY),
                Sizes.formatExact(indexMemoryBytes)));
      }
      if (scrubBytesPerSecond != 0) {
        sizeRange("log.scrub-rate", scrubBytesPerSecond, MINIMUM_SCRUB_RATE, MAXIMUM_SCRUB_RATE);
      }
      if (scrubIntervalS != 0) {
        range(
            "log.scrub-interval",
            scrubIntervalS,
            MINIMUM_SCRUB_INTERVAL_S,
            MAXIMUM_SCRUB_INTERVAL_S);
      }
      if (retentionS != 0) {
        range("log.retention", retentionS, MINIMUM_RETENTION_S, MAXIMUM_RETENTION_S);
      }
    }

    private static void range(String key, long value, long minimum, long maximum)
        throws ConfigException {
      if (value < minimum || value > maximum) {
        throw new ConfigException(
            String.format(
                Locale.ROOT,
                "bad value for '%s': expected %d to %d, not %d",
                key,
                minimum,
                maximum,
                value));
      }
    }

    private static void sizeRange(String key, long value, long minimum, long maximum)
        throws ConfigException {
      if (value < minimum || value > maximum) {
        throw new ConfigException(
            String.format(
                Locale.ROOT,
                "bad value for '%s': expected %s to %s, not %s",
                key,
                Sizes.formatExact(minimum),
                Sizes.formatExact(maximum),
                Sizes.formatExact(value)));
      }
    }
  }
}
