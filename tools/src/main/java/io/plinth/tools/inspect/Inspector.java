package io.plinth.tools.inspect;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.Superblock;
import io.plinth.log.recovery.LogReader;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.SuperblockStore;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.main.BootId;
import io.plinth.target.main.ClusterFile;
import io.plinth.target.main.DataDirectory;
import io.plinth.target.main.StartupException;
import io.plinth.target.node.LogResources;
import io.plinth.target.node.NodePeers;
import io.plinth.target.node.NodeSettings;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.CheckpointContent;
import io.plinth.target.volume.IndexWalk;
import io.plinth.target.volume.Scrubber;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;

/** Looks at a data directory. The log is read by the code that a start reads it with. */
public final class Inspector {
  private static final int BLOCK = LogFormat.BLOCK_BYTES;

  private final DataDirectory directory;
  private final boolean verify;
  private final List<LogInspection> logs = new ArrayList<>();
  private Report.Problem problem;

  /** One log while it is looked at. */
  private static final class LogInspection {
    final String name;
    final List<Report.SuperblockCopy> copies = new ArrayList<>();
    final Map<String, Report.Count> records = new LinkedHashMap<>();
    final List<Report.Segment> segments = new ArrayList<>();

    /** Where in each segment the next batch would have its header. */
    final Map<Integer, Integer> chainEnds = new HashMap<>();

    Superblock.Values superblock;
    ReadOnlySegments storage;
    Report.Checkpoint checkpoint;
    Report.Recovery recovery;
    IndexWalk walk;
    IndexWalk.Pages index;
    LiveBlocks live;
    Map<Integer, Report.Settings> settings = Map.of();
    Report.Verified verified;

    LogInspection(String name) {
      this.name = name;
    }

    Report.Log report() {
      return new Report.Log(
          name,
          superblock == null ? null : superblock.segmentBytes(),
          copies,
          segments,
          records,
          checkpoint,
          recovery,
          index,
          walk == null ? null : walk.trees().stream().map(this::volume).toList(),
          verified);
    }

    private Report.Volume volume(IndexWalk.Tree tree) {
      boolean isSnapshot = tree.name().indexOf(StorageNode.SNAPSHOT_SEPARATOR) >= 0;
      return Report.Volume.of(tree, isSnapshot ? null : settings.get(tree.group()));
    }
  }

  private Inspector(DataDirectory directory, boolean verify) {
    this.directory = directory;
    this.verify = verify;
  }

  /**
   * Looks at a data directory, which must not be in use.
   *
   * @param verify whether every live block is read and checked
   * @throws StartupException when it can't be looked at, with one line that says why
   */
  public static Report inspect(Path path, boolean verify) throws StartupException {
    try (DataDirectory directory = DataDirectory.openForReading(path)) {
      Inspector inspector = new Inspector(directory, verify);
      try {
        return inspector.run();
      } finally {
        inspector.close();
      }
    }
  }

  private Report run() throws StartupException {
    for (Path folder : directory.logs()) {
      LogInspection log = new LogInspection(folder.getFileName().toString());
      logs.add(log);
      try {
        readSuperblocks(log, folder);
      } catch (RecoveryException e) {
        broken(log, e);
      }
      log.storage = new ReadOnlySegments(folder, segmentBytes(log));
      if (log.superblock != null) {
        scanSegments(log);
      }
    }
    if (problem == null && !logs.isEmpty()) {
      recover();
    }
    return new Report(
        directory.path().toAbsolutePath().toString(),
        logs.stream().map(LogInspection::report).toList(),
        problem);
  }

  /** A log that was never opened has no superblock, and no segments whose size could matter. */
  private static int segmentBytes(LogInspection log) {
    return log.superblock == null ? BLOCK : log.superblock.segmentBytes();
  }

  private void readSuperblocks(LogInspection log, Path folder) throws RecoveryException {
    NativeMemory memory = NativeMemory.reserve(2 * Superblock.BYTES);
    try (ReadOnlySegments storage = new ReadOnlySegments(folder, BLOCK)) {
      SuperblockStore store = new SuperblockStore(storage);
      int count = storage.readSuperblock(memory.address());
      try {
        log.superblock = store.read(log.name);
      } finally {
        store.close();
        for (int copy = 0; copy < 2; copy++) {
          boolean isThere = count >= (copy + 1) * Superblock.BYTES;
          log.copies.add(
              isThere
                  ? superblock(log, memory, copy)
                  : new Report.SuperblockCopy(copy, "empty", null));
        }
      }
    } finally {
      memory.close();
    }
  }

  private static Report.SuperblockCopy superblock(
      LogInspection log, NativeMemory memory, int copy) {
    long address = memory.address() + (long) copy * Superblock.BYTES;
    Superblock flyweight = new Superblock().wrap(address);
    if (!flyweight.hasMagic()) {
      boolean isEmpty =
          memory.buffer((long) copy * Superblock.BYTES, Superblock.BYTES).getLong(0) == 0;
      return new Report.SuperblockCopy(copy, isEmpty ? "empty" : "damaged", null);
    }
    if (flyweight.crc() != memory.crc32c(new CRC32C(), address, Superblock.CRC_OFFSET)) {
      return new Report.SuperblockCopy(copy, "damaged", null);
    }
    if (flyweight.version() != LogFormat.VERSION) {
      return new Report.SuperblockCopy(copy, "version " + flyweight.version(), null);
    }
    Superblock.Values values = flyweight.decode();
    boolean isCurrent =
        log.superblock != null && values.generation() == log.superblock.generation();
    return new Report.SuperblockCopy(
        copy,
        isCurrent ? "current" : "older",
        new Report.Superblock(
            values.generation(),
            String.format(Locale.ROOT, "%016x", values.logId()),
            values.nodeId().toString(),
            values.bootId().toString(),
            values.starts(),
            values.clean(),
            values.durableSequence(),
            values.start().sequence(),
            values.start().segmentSequence(),
            values.start().position()));
  }

  private static void scanSegments(LogInspection log) {
    LogReader reader = new LogReader(log.storage);
    try {
      SegmentScan scan = new SegmentScan(log.storage, reader, log.superblock.logId());
      for (int slot : log.storage.existingSlots()) {
        SegmentScan.Found found = scan.scan(slot);
        log.chainEnds.put(slot, found.chainEnd());
        boolean isReplayed = found.sequence() >= log.superblock.start().segmentSequence();
        String state = isReplayed ? "log" : "older";
        log.segments.add(
            new Report.Segment(
                slot,
                found.sequence(),
                found.sequence() == 0 ? "spare" : state,
                found.usedBytes(),
                log.storage.segmentBytes() - found.usedBytes(),
                found.batches(),
                found.records(),
                found.firstBatch(),
                found.lastBatch(),
                null,
                null));
      }
      scan.records()
          .forEach((type, counts) -> log.records.put(type, new Report.Count(counts[0], counts[1])));
    } finally {
      reader.close();
    }
  }

  /** Reads the logs as a start does, and then everything that can be reached from them. */
  private void recover() throws StartupException {
    ClusterMap cluster = cluster();
    NodePeers peers =
        cluster.isAlone()
            ? NodePeers.none()
            : NodePeers.of(cluster, 0, (address, connector) -> false, replicator -> {});
    List<LogResources> resources =
        logs.stream()
            .map(log -> new LogResources(log.name, new NoCore(), log.storage, peers))
            .toList();
    UUID bootId = BootId.read();
    NodeSettings settings =
        new NodeSettings(
            bootId, 0, 0, 0, 0, Scrubber.Settings.OFF, Optional.empty(), cluster, Set.of());
    StorageNode node = new StorageNode(settings, () -> 0, resources);
    LogInspection current = logs.get(0);
    try {
      for (int number = 0; number < logs.size(); number++) {
        current = logs.get(number);
        readCheckpoint(current);
        RecoveredLog found = node.recoverLog(number);
        current.recovery =
            new Report.Recovery(
                node.recoverySummaries().get(number),
                found.batches(),
                found.records(),
                found.tornBytes(),
                found.rottenBlocks());
        walk(current, node);
      }
      for (LogInspection log : logs) {
        current = log;
        check(log);
      }
    } catch (RecoveryException e) {
      broken(current, e);
    } finally {
      node.free();
    }
  }

  private ClusterMap cluster() throws StartupException {
    try {
      return ClusterFile.in(directory.path()).read().orElse(ClusterMap.alone());
    } catch (IOException e) {
      throw new StartupException(
          "can't read data directory " + directory.path() + ": " + e.getMessage(), e);
    }
  }

  private static void readCheckpoint(LogInspection log) throws RecoveryException {
    if (log.superblock == null || log.superblock.checkpoint().bytes() == 0) {
      return;
    }
    Superblock.CheckpointPlace place = log.superblock.checkpoint();
    int blocksPerSegment = log.storage.segmentBytes() / BLOCK;
    log.checkpoint =
        new Report.Checkpoint(
            (int) (place.place() / blocksPerSegment),
            place.place() % blocksPerSegment * BLOCK,
            place.bytes(),
            CheckpointContent.read(log.name, log.storage, place));
  }

  private void walk(LogInspection log, StorageNode node) throws RecoveryException {
    log.live = new LiveBlocks(log.name, log.storage);
    log.walk = new IndexWalk(log.name, node.store(logs.indexOf(log)));
    log.walk.run(log.live);
    log.index = log.walk.pages();
    log.settings =
        node.store(logs.indexOf(log)).volumes().stream()
            .collect(
                Collectors.toMap(
                    volume -> volume.group().id(),
                    volume -> Report.Settings.of(volume.settings())));
    if (log.checkpoint != null) {
      Superblock.CheckpointPlace place = log.superblock.checkpoint();
      log.live.onRoot(place.place(), (place.bytes() + BLOCK - 1) / BLOCK);
    }
    log.segments.replaceAll(segment ->
        new Report.Segment(
            segment.slot(),
            segment.sequence(),
            segment.state(),
            segment.usedBytes(),
            segment.freeBytes(),
            segment.batches(),
            segment.records(),
            segment.firstBatch(),
            segment.lastBatch(),
            log.live.data(segment.slot()),
            log.live.checkpoint(segment.slot())));
  }

  /** Compares what was counted with what the store counts, and looks at the blocks themselves. */
  private void check(LogInspection log) throws RecoveryException {
    for (int slot = 0; slot < log.storage.maxSegments(); slot++) {
      boolean agrees =
          log.live.data(slot) == log.walk.liveData(slot)
              && log.live.checkpoint(slot) == log.walk.liveMeta(slot);
      if (!agrees) {
        throw new RecoveryException(
            String.format(
                Locale.ROOT,
                "%s segment %d: %d blocks of data and %d of the checkpoint are alive, %d and %d are counted",
                log.name,
                slot,
                log.live.data(slot),
                log.live.checkpoint(slot),
                log.walk.liveData(slot),
                log.walk.liveMeta(slot)));
      }
    }
    for (Report.Segment segment : log.segments) {
      long stray = log.live.firstFrom(segment.slot(), segment.usedBytes());
      if (stray >= 0) {
        broken(
            log,
            segment.slot(),
            log.chainEnds.get(segment.slot()),
            "is not the batch that must be here: "
                + log.walk.describe(stray)
                + " lies behind it, at offset "
                + log.live.offset(stray));
        return;
      }
    }
    if (!verify) {
      return;
    }
    LiveBlocks.Damage damage = log.live.verify();
    if (damage != null) {
      broken(
          log,
          log.live.slot(damage.place()),
          log.live.offset(damage.place()),
          damage.what() + " (" + log.walk.describe(damage.place()) + ")");
      return;
    }
    long data = 0;
    long checkpoint = 0;
    for (int slot = 0; slot < log.storage.maxSegments(); slot++) {
      data += log.live.data(slot);
      checkpoint += log.live.checkpoint(slot);
    }
    log.verified = new Report.Verified(data, checkpoint);
  }

  private void broken(LogInspection log, RecoveryException e) {
    broken(new Report.Problem(log.name, null, null, e.getMessage()));
  }

  private void broken(LogInspection log, int segment, long offset, String what) {
    broken(
        new Report.Problem(
            log.name,
            segment,
            offset,
            log.name + " segment " + segment + " offset " + offset + " " + what));
  }

  /** Only the first one is told: the others may follow from it. */
  private void broken(Report.Problem found) {
    problem = problem == null ? found : problem;
  }

  private void close() {
    for (LogInspection log : logs) {
      if (log.storage != null) {
        log.storage.close();
      }
      if (log.live != null) {
        log.live.close();
      }
    }
  }
}
