package io.plinth.target.main;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import io.plinth.engine.core.DriverException;
import io.plinth.engine.core.EngineCore;
import io.plinth.engine.device.SegmentDirectory;
import io.plinth.engine.memory.BufferPool;
import io.plinth.engine.net.Engine;
import io.plinth.engine.net.ListenException;
import io.plinth.engine.net.SocketAddresses;
import io.plinth.log.format.Superblock;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.SuperblockStore;
import io.plinth.target.admin.AdminBindException;
import io.plinth.target.admin.AdminOptions;
import io.plinth.target.admin.AdminServer;
import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.nbd.NbdAcceptor;
import io.plinth.target.nbd.NbdCoreContext;
import io.plinth.target.nbd.NbdLimits;
import io.plinth.target.nbd.NbdTls;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.LogResources;
import io.plinth.target.node.LogStatistics;
import io.plinth.target.node.NodePeers;
import io.plinth.target.node.NodeSettings;
import io.plinth.target.node.StorageNode;
import io.plinth.target.security.ClientNames;
import io.plinth.target.security.ServerTls;
import io.plinth.target.security.TlsFilesException;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.Volume;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A running server: cores, volumes, front ends and admin API, put together from a configuration.
 */
public final class PlinthServer {
  private static final Logger LOG = LoggerFactory.getLogger(PlinthServer.class);
  private static final int CHUNK_BYTES = 256 * 1024;
  private static final int CHUNKS = 256;
  private static final int INITIAL_POPULATE_BYTES = 16 << 20;
  private static final long STOP_TIMEOUT_S = 30;

  /** Room for connections from and to other nodes, and for those that replace them. */
  private static final int PEER_CONNECTIONS = 8 * ClusterMap.MAXIMUM_MEMBERS;

  private final ServerConfig config;
  private final long startedNs = System.nanoTime();
  private final CountDownLatch terminated = new CountDownLatch(1);
  private final List<Listener> listeners = new ArrayList<>();
  private final Map<Integer, Listener> peerListeners = new ConcurrentHashMap<>();
  private final List<SegmentDirectory> storages = new ArrayList<>();
  private final List<NbdCoreContext> contexts = new ArrayList<>();
  private final List<BufferPool> pools = new ArrayList<>();
  private DataDirectory directory;
  private ClusterMap cluster = ClusterMap.alone();
  private Engine engine;
  private StorageNode node;
  private NbdAcceptor acceptor;
  private ServerTls tls;
  private AdminServer admin;
  private int openLogs;
  private boolean stopped;
  private volatile NodeInfo.State state = NodeInfo.State.STARTING;

  private PlinthServer(ServerConfig config) {
    this.config = config;
  }

  /**
   * Starts a server and returns when clients can attach.
   *
   * @throws StartupException when it cannot serve, with one line that says why
   */
  public static PlinthServer start(ServerConfig config) throws StartupException {
    PlinthServer server = new PlinthServer(config);
    try {
      server.startAll();
      return server;
    } catch (StartupException e) {
      server.stop();
      throw e;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      server.stop();
      throw new StartupException("interrupted while starting", e);
    }
  }

  /**
   * Returns the line that tells a person, or the program that started this one, where clients
   * attach.
   */
  public String readyLine() {
    StringBuilder line = new StringBuilder("ready: NBD on ");
    for (int i = 0; i < listeners.size(); i++) {
      line.append(i == 0 ? "" : ", ").append(listeners.get(i).address());
    }
    line.append("; admin on ").append(admin.address());
    if (!cluster.isAlone()) {
      line.append("; node ").append(cluster.self()).append(" of cluster ").append(cluster.name());
    }
    line.append("; ").append(String.join("; ", node.recoverySummaries()));
    return line.toString();
  }

  /** Returns the addresses of the NBD listeners, as people write them. */
  public List<String> nbdAddresses() {
    return listeners.stream().map(Listener::address).toList();
  }

  /** Returns the address of the admin API. */
  public String adminAddress() {
    return admin.address();
  }

  /** Waits until the server has ended, by {@link #stop} or by a failure. */
  public void awaitTermination() throws InterruptedException {
    terminated.await();
  }

  /**
   * Finishes what is in flight, syncs and ends the server; returns when that is done. May be called
   * more than once.
   */
  public synchronized void stop() {
    if (stopped) {
      return;
    }
    stopped = true;
    boolean failed = state == NodeInfo.State.FAILED;
    state = failed ? state : NodeInfo.State.STOPPING;
    if (engine != null && !failed) {
      attempt("closing listeners", () -> engine.callOn(0, this::closeListeners));
      for (int i = 0; i < openLogs; i++) {
        int log = i;
        attempt(
            "handing over the lead of log-" + log,
            () -> await(engine.callOn(coreOf(log), () -> node.handOver(log))));
      }
      if (acceptor != null) {
        for (int i = 0; i < engine.coreCount(); i++) {
          int core = i;
          attempt("finishing requests", () -> drain(core));
        }
      }
      for (int i = 0; i < openLogs; i++) {
        int log = i;
        attempt(
            "closing log-" + log,
            () -> await(engine.callOn(coreOf(log), () -> node.closeLog(log))));
        attempt(
            "leaving the peers of log-" + log, () -> engine.callOn(coreOf(log), () -> leave(log)));
      }
    }
    if (admin != null) {
      admin.close();
    }
    if (engine != null && !failed) {
      attempt(
          "stopping cores",
          () -> {
            engine.shutdown();
            return null;
          });
    }
    if (tls != null) {
      tls.close();
    }
    storages.forEach(SegmentDirectory::close);
    if (directory != null) {
      directory.close();
    }
    terminated.countDown();
  }

  private void startAll() throws StartupException, InterruptedException {
    directory = DataDirectory.open(config.dataDir());
    try {
      engine =
          Engine.start(
              config.cores(),
              config.nbd().maxConnections() + PEER_CONNECTIONS,
              TimeUnit.MICROSECONDS.toNanos(config.engine().spinUs()),
              config.engine().pinCores(),
              this::onCoreFailure);
    } catch (DriverException e) {
      throw new StartupException(e.getMessage(), e);
    }
    openNode();
    createVolumes();
    startFrontEnds();
    forgetCyclesOfTheStart();
    // Only now: a start that is refused is one line, and says why.
    node.recoverySummaries().forEach(LOG::info);
    state = NodeInfo.State.RUNNING;
  }

  private void openNode() throws StartupException, InterruptedException {
    boolean hasLogs = !directory.logs().isEmpty();
    ClusterFile clusterFile = ClusterFile.in(directory.path());
    cluster =
        resolved(
            clusterFile.claim(
                config.cluster(), hasLogs, given -> Introduction.ask(given, config.cores())));
    List<Path> folders = directory.logs(config.cores());
    List<LogResources> resources = new ArrayList<>();
    for (int i = 0; i < folders.size(); i++) {
      EngineCore core = engine.core(coreOf(i));
      SegmentDirectory storage = openStorage(folders.get(i), core, folders.size());
      storages.add(storage);
      resources.add(new LogResources("log-" + i, core, storage, peers(i)));
    }
    SecureRandom random = new SecureRandom();
    NodeSettings settings =
        new NodeSettings(
            BootId.read(),
            config.log().residentMemoryBytes() / folders.size(),
            indexBytesPerLog(folders.size()),
            config.log().spareSegments(),
            TimeUnit.SECONDS.toMillis(config.log().retentionS()),
            new Scrubber.Settings(
                config.log().scrubBytesPerSecond() / folders.size(),
                TimeUnit.SECONDS.toNanos(config.log().scrubIntervalS())),
            config.nbd().defaultExport(),
            cluster,
            Set.of(),
            ClusterBugs.NONE,
            keeper());
    node = new StorageNode(settings, random::nextLong, resources);
    for (int i = 0; i < folders.size(); i++) {
      int log = i;
      callForStart(() -> await(engine.callOn(coreOf(log), () -> node.openLog(log))));
      openLogs++;
      listenForPeers(log);
    }
    callForStart(() ->
        engine.callOn(
            0,
            () -> {
              node.publishRecovered();
              return null;
            }));
    settleInCluster(clusterFile);
  }

  private KeeperSettings keeper() {
    return config
        .cluster()
        .map(given ->
            KeeperSettings.of(
                TimeUnit.SECONDS.toNanos(given.unreachableS()),
                TimeUnit.SECONDS.toNanos(given.rebuildS())))
        .orElse(KeeperSettings.DEFAULT);
  }

  /** A core can't look names up. */
  private static ClusterMap resolved(ClusterMap named) throws StartupException {
    List<ClusterMap.Member> members = new ArrayList<>();
    for (ClusterMap.Member member : named.members()) {
      members.add(resolved(member));
    }
    return new ClusterMap(named.name(), named.self(), named.isNew(), named.joined(), members);
  }

  /** Returns a node with an address instead of a name. */
  static ClusterMap.Member resolved(ClusterMap.Member member) throws StartupException {
    try {
      ListenAddress found = ListenAddress.parse(SocketAddresses.resolve(member.address(0)));
      return new ClusterMap.Member(
          member.number(), found.host(), found.port(), member.admin(), member.rack());
    } catch (IllegalArgumentException e) {
      throw new StartupException(
          "can't find node " + member.number() + " of the cluster: " + e.getMessage(), e);
    }
  }

  private NodePeers peers(int log) {
    return cluster.isAlone()
        ? NodePeers.none()
        : NodePeers.of(
            cluster,
            log,
            engine.network(coreOf(log)),
            // Their connections are taken when all is here that they may be for.
            replicator -> {});
  }

  private void listenForPeers(int log) throws StartupException, InterruptedException {
    Optional<ClusterMap.Member> self = cluster.member(cluster.self());
    if (self.isPresent()) {
      callForStart(() ->
          engine.callOn(
              coreOf(log),
              () -> {
                Acceptor acceptor = node.meetPeers(log);
                peerListeners.put(
                    log, engine.network(coreOf(log)).listen(self.get().address(log), acceptor));
                return null;
              }));
    }
  }

  /** A new node is one no more when it has begun all that it may have had before. */
  private void settleInCluster(ClusterFile file) {
    if (!cluster.isNew()) {
      return;
    }
    CompletableFuture<?> _ =
        node.begunAll()
            .thenRunAsync(() -> {
              try {
                file.settle(cluster);
                node.settle();
              } catch (IOException e) {
                LOG.error("can't write {}: {}", ClusterFile.NAME, e.toString());
              }
            });
  }

  /** Opens a log's folder with the segment size that it was made with. */
  private SegmentDirectory openStorage(Path folder, EngineCore core, int logs)
      throws StartupException {
    int segmentBytes = (int) config.log().segmentSizeBytes();
    try {
      SegmentDirectory storage = storage(folder, core, segmentBytes, logs);
      SuperblockStore superblocks = new SuperblockStore(storage);
      Superblock.Values found;
      try {
        found = superblocks.read(directory.path().resolve(folder.getFileName()).toString());
      } catch (RecoveryException e) {
        storage.close();
        throw new StartupException(e.getMessage(), e);
      } finally {
        superblocks.close();
      }
      if (found == null || found.segmentBytes() == segmentBytes) {
        return storage;
      }
      storage.close();
      return storage(folder, core, found.segmentBytes(), logs);
    } catch (IOException e) {
      throw new StartupException(
          "can't use data directory " + directory.path() + ": " + DataDirectory.reason(e), e);
    }
  }

  private SegmentDirectory storage(Path folder, EngineCore core, int segmentBytes, int logs)
      throws IOException, StartupException {
    long capacity = config.log().capacityBytes();
    int segments =
        capacity == 0
            ? directory.segmentsOfFileSystem(segmentBytes)
            : (int) Math.max(ServerConfig.MINIMUM_SEGMENTS, capacity / logs / segmentBytes);
    return new SegmentDirectory(
        folder, core.driver(), segmentBytes, segments, INITIAL_POPULATE_BYTES);
  }

  private void createVolumes() throws StartupException, InterruptedException {
    for (VolumeSpec spec : config.volumes()) {
      LogVolume volume = node.findVolume(spec.name());
      if (volume == null) {
        callForStart(() ->
            await(
                node.createVolume(
                    spec.name(), spec.sizeBytes(), spec.flushPolicy(), spec.settings())));
      } else if (volume.sizeBytes() != spec.sizeBytes()) {
        throw new StartupException(
            "volume "
                + spec.name()
                + " exists with size "
                + Sizes.formatExact(volume.sizeBytes())
                + ", not "
                + Sizes.formatExact(spec.sizeBytes())
                + ": give its real size, or leave it out to serve it as it is");
      }
    }
    if (config.nbd().defaultExport().isPresent()
        && node.findVolume(config.nbd().defaultExport().get()) == null) {
      throw new StartupException(
          "nbd.default-export names volume "
              + config.nbd().defaultExport().get()
              + ", which does not exist");
    }
  }

  private void startFrontEnds() throws StartupException, InterruptedException {
    NbdLimits limits =
        NbdLimits.DEFAULT.with(
            config.nbd().maxConnectionsPerVolume(),
            TimeUnit.SECONDS.toNanos(config.nbd().idleTimeoutS()),
            config.nbd().resize());
    for (int i = 0; i < engine.coreCount(); i++) {
      Core core = engine.core(i);
      callForStart(() ->
          engine.callOn(
              core.id(),
              () -> {
                BufferPool chunks = new BufferPool(CHUNK_BYTES, CHUNKS);
                pools.add(chunks);
                NbdCoreContext context = new NbdCoreContext(core, limits, chunks);
                contexts.add(context);
                context.start();
                return null;
              }));
    }
    acceptor = new NbdAcceptor(node, limits, openTls(), contexts);
    for (ListenAddress address : config.nbd().listen()) {
      listen(address.toString());
    }
    for (int descriptor : config.nbd().inheritedSockets()) {
      listenOn(descriptor);
    }
    for (Path path : config.nbd().unixPaths()) {
      removeStaleSocket(path);
      listen("unix:" + path);
    }
    try {
      admin =
          AdminServer.start(
              new NodeControlAdapter(node, this::nodeInfo),
              AdminOptions.at(config.adminListen().host(), config.adminListen().port()));
    } catch (AdminBindException e) {
      throw new StartupException(e.getMessage(), e);
    }
  }

  private NbdTls openTls() throws StartupException {
    if (config.nbd().tls().files().isEmpty()) {
      return NbdTls.NONE;
    }
    try {
      tls = ServerTls.open(config.nbd().tls().files().get());
    } catch (TlsFilesException e) {
      throw new StartupException(e.getMessage(), e);
    }
    return new NbdTls(config.nbd().tls().mode(), this::newTlsSession, ClientNames::contains);
  }

  private NbdTls.Session newTlsSession() throws TlsException {
    TlsEngine session = tls.newSession();
    return connection -> connection.startTls(session, tls.helpers());
  }

  private void forgetCyclesOfTheStart() throws StartupException, InterruptedException {
    for (int i = 0; i < engine.coreCount(); i++) {
      EngineCore core = engine.core(i);
      callForStart(() ->
          engine.callOn(
              core.id(),
              () -> {
                core.forgetCycles();
                return null;
              }));
    }
  }

  private void listen(String address) throws StartupException, InterruptedException {
    callForStart(() ->
        engine.callOn(
            0,
            () -> {
              listeners.add(engine.network(0).listen(address, acceptor));
              return null;
            }));
  }

  private void listenOn(int descriptor) throws StartupException, InterruptedException {
    try {
      callForStart(() ->
          engine.callOn(
              0,
              () -> {
                listeners.add(engine.network(0).listenOn(descriptor, acceptor));
                return null;
              }));
    } catch (StartupException e) {
      throw new StartupException("can't serve an inherited socket: " + e.getMessage(), e);
    }
  }

  /** A socket's file outlives its server; only one that nobody listens on may go. */
  private static void removeStaleSocket(Path path) throws StartupException {
    if (!Files.exists(path)) {
      return;
    }
    try (java.nio.channels.SocketChannel probe =
        java.nio.channels.SocketChannel.open(java.net.StandardProtocolFamily.UNIX)) {
      probe.connect(java.net.UnixDomainSocketAddress.of(path));
      throw new StartupException(
          "can't listen on unix:" + path + ": the address is in use by another process");
    } catch (IOException e) {
      try {
        if (!Files.isRegularFile(path) && !Files.isDirectory(path)) {
          Files.deleteIfExists(path);
        }
      } catch (IOException deletion) {
        throw new StartupException(
            "can't remove the old socket " + path + ": " + DataDirectory.reason(deletion),
            deletion);
      }
    }
  }

  private NodeInfo nodeInfo() {
    List<NodeInfo.Listener> where = new ArrayList<>();
    listeners.forEach(listener -> where.add(new NodeInfo.Listener("nbd", listener.address())));
    where.add(new NodeInfo.Listener("admin", admin.address()));
    return new NodeInfo(
        Version.current(),
        node.nodeId().toString(),
        node.hasFailed() ? NodeInfo.State.FAILED : state,
        directory.path().toAbsolutePath().toString(),
        ProcessHandle.current().pid(),
        engine.coreCount(),
        TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - startedNs),
        where,
        node.logCapacityBytes(),
        node.logUsedBytes(),
        logs(),
        String.join("; ", node.recoverySummaries()),
        dutyCycles());
  }

  private long indexBytesPerLog(int logs) {
    long limit = config.log().indexMemoryBytes();
    // A data directory may have more logs than there are cores.
    return limit == 0 ? 0 : Math.max(ServerConfig.MINIMUM_INDEX_MEMORY, limit / logs);
  }

  private List<NodeInfo.LogInfo> logs() {
    List<NodeInfo.LogInfo> logs = new ArrayList<>();
    for (LogStatistics log : node.logStatistics()) {
      logs.add(
          new NodeInfo.LogInfo(
              logs.size(),
              log.core(),
              log.segmentBytes(),
              log.segmentsInUse(),
              log.spareSegments(),
              log.availableSegments(),
              log.liveBlocks() * Volume.BLOCK_BYTES,
              log.writtenBlocks() * Volume.BLOCK_BYTES,
              log.appendedBlocks() * Volume.BLOCK_BYTES,
              log.checkpoints(),
              log.cleanedSegments(),
              log.movedBlocks(),
              log.memoryWaits(),
              log.segmentWaits(),
              log.indexBytes(),
              log.index().droppedBytes(),
              log.index().drops(),
              log.index().reads(),
              log.index().failedReads()));
    }
    return logs;
  }

  private List<NodeInfo.DutyCycle> dutyCycles() {
    List<NodeInfo.DutyCycle> cycles = new ArrayList<>();
    for (int i = 0; i < engine.coreCount(); i++) {
      EngineCore core = engine.core(i);
      long longestUs = TimeUnit.NANOSECONDS.toMicros(core.longestCycleNs());
      cycles.add(new NodeInfo.DutyCycle(i, core.stalls(), longestUs));
    }
    return cycles;
  }

  private Void leave(int log) {
    Listener listener = peerListeners.get(log);
    if (listener != null) {
      listener.close();
    }
    node.leavePeers(log);
    engine.network(coreOf(log)).closeAll();
    return null;
  }

  private Void closeListeners() {
    listeners.forEach(Listener::close);
    return null;
  }

  private Void drain(int core) throws InterruptedException, ExecutionException, TimeoutException {
    CompletableFuture<Void> drained = new CompletableFuture<>();
    engine.callOn(
        core,
        () -> {
          acceptor.drain(engine.core(core), () -> drained.complete(null));
          return null;
        });
    try {
      return drained.get(STOP_TIMEOUT_S, TimeUnit.SECONDS);
    } finally {
      engine.callOn(
          core,
          () -> {
            engine.network(core).closeAll();
            return null;
          });
    }
  }

  private int coreOf(int log) {
    return log % config.cores();
  }

  /**
   * A defect: what this core had promised can't be kept up, so the server ends at once rather than
   * hang.
   */
  private void onCoreFailure(int coreId, Throwable cause) {
    state = NodeInfo.State.FAILED;
    terminated.countDown();
  }

  private static <T> T await(CompletableFuture<T> future)
      throws InterruptedException, ExecutionException, TimeoutException {
    return future.get(STOP_TIMEOUT_S, TimeUnit.SECONDS);
  }

  private <T> T callForStart(Engine.CoreCall<T> call)
      throws StartupException, InterruptedException {
    try {
      return call.call();
    } catch (InterruptedException e) {
      throw e;
    } catch (Exception e) {
      throw new StartupException(startMessage(e), e);
    }
  }

  private static String startMessage(Exception e) {
    Throwable cause = e;
    while (cause instanceof ExecutionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof TimeoutException) {
      return "the log did not become ready within " + STOP_TIMEOUT_S + " s";
    }
    boolean forPeople = cause instanceof RecoveryException || cause instanceof ListenException;
    return forPeople ? cause.getMessage() : "can't start: " + cause;
  }

  private static void attempt(String what, Engine.CoreCall<?> call) {
    try {
      call.call();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      LOG.error("interrupted while {}", what);
    } catch (Exception e) {
      Throwable cause = e instanceof ExecutionException && e.getCause() != null ? e.getCause() : e;
      LOG.error("{} failed: {}", what, cause.toString());
    }
  }
}
