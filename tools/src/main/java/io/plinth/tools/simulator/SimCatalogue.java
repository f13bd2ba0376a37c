package io.plinth.tools.simulator;

import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.node.NodeException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.target.volume.VolumeStore;
import io.plinth.tools.simulator.SimVolume.State;
import io.plinth.tools.simulator.check.DamagedBlocks;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * The volumes and snapshots of a simulated node: one that is always there, one that comes and goes,
 * and clones. One command is on its way at a time; requests go on meanwhile, but for those to a
 * volume that is changed as a whole.
 */
final class SimCatalogue {
  private static final int BLOCK_SECTORS = VolumeModel.SECTORS_PER_BLOCK;
  private static final int MAIN_SECTORS = BLOCK_SECTORS * 600 + 3;
  private static final int MAX_BLOCKS = 700;
  private static final int EXTRA_MAX_BLOCKS = 120;
  private static final String MAIN = "v";
  private static final String EXTRA = "w";

  /** What a log can hold without being full of snapshots and clones. */
  private static final int MAX_SNAPSHOTS = 6;

  private static final int SEGMENTS_PER_SNAPSHOT = 4;
  private static final int MAX_CLONES = 3;
  private static final int SEGMENTS_PER_CLONE = 8;

  /** The one with the checkpoint, and the one that is being written. */
  private static final int MAX_EMPTY_SEGMENTS = 2;

  private final SimRandom random;
  private final SimClient client;
  private final Consumer<String> note;
  private final TreeMap<String, SimVolume> volumes = new TreeMap<>();
  private SimDisk disk;
  private SimNode sim;
  private DamagedBlocks damaged;
  private VolumeReader reader;
  private int maxSnapshots;
  private int maxClones;
  private int lastName;

  SimCatalogue(SimRandom random, SimClient client, Consumer<String> note) {
    this.random = random;
    this.client = client;
    this.note = note;
  }

  /** Begins with the volume that is always there, on an empty disk. */
  void begin(SimDisk newDisk, int segments, SimNode newSim, DamagedBlocks newDamaged) {
    disk = newDisk;
    sim = newSim;
    damaged = newDamaged;
    reader = new VolumeReader(newSim, client);
    volumes.clear();
    maxSnapshots = Math.min(MAX_SNAPSHOTS, segments / SEGMENTS_PER_SNAPSHOT - 1);
    maxClones = Math.min(MAX_CLONES, segments / SEGMENTS_PER_CLONE);
    create(MAIN, MAIN_SECTORS);
    settle(true);
  }

  Collection<SimVolume> all() {
    return volumes.values();
  }

  VolumeReader reader() {
    return reader;
  }

  /** Picks a volume for a change or FLUSH: mostly the one that is always there; null for none. */
  SimVolume pick() {
    SimVolume other = random.oneIn(4) ? any(volume -> !volume.isSnapshot()) : null;
    SimVolume main = volumes.get(MAIN);
    if (other != null) {
      return other;
    }
    return main.isUsable() ? main : null;
  }

  /** Picks a volume or a snapshot to read; null for none. */
  SimVolume pickToRead() {
    SimVolume snapshot = random.oneIn(4) ? any(SimVolume::isSnapshot) : null;
    return snapshot == null ? pick() : snapshot;
  }

  /** Returns whether no command is on its way. */
  boolean isSettled() {
    return volumes.values().stream().allMatch(SimVolume::isUsable);
  }

  private SimVolume any(Predicate<SimVolume> wanted) {
    List<SimVolume> found =
        volumes.values().stream().filter(SimVolume::isUsable).filter(wanted).toList();
    return found.isEmpty() ? null : found.get(random.nextInt(found.size()));
  }

  private long count(Predicate<SimVolume> wanted) {
    return volumes.values().stream().filter(wanted).count();
  }

  private static boolean isClone(SimVolume volume) {
    return !volume.isSnapshot() && !volume.name.equals(MAIN) && !volume.name.equals(EXTRA);
  }

  private boolean mayBegin() {
    return isSettled() && !sim.storage().hasFailedSync();
  }

  /** Creates the second volume or deletes it. */
  void toggleExtra() {
    if (!mayBegin()) {
      return;
    }
    SimVolume extra = volumes.get(EXTRA);
    if (extra == null) {
      create(EXTRA, 1 + random.nextInt(EXTRA_MAX_BLOCKS * BLOCK_SECTORS));
    } else {
      delete(extra);
    }
  }

  /** Does something with snapshots, clones, or the size of a volume. */
  void change() {
    if (!mayBegin()) {
      return;
    }
    SimVolume volume = any(candidate -> !candidate.isSnapshot());
    SimVolume snapshot = any(SimVolume::isSnapshot);
    switch (random.nextInt(12)) {
      case 0, 1, 2, 3 -> takeSnapshot(volume);
      case 4, 5 -> delete(snapshot);
      case 6, 7 -> makeClone(snapshot == null || random.oneIn(2) ? volume : snapshot);
      case 8 -> delete(any(SimCatalogue::isClone));
      case 9, 10 -> rollBack(snapshot);
      default -> resize(volume);
    }
  }

  /** Changes the settings of a volume; requests to it go on only afterwards. */
  void changeSettings() {
    SimVolume volume = mayBegin() ? any(candidate -> !candidate.isSnapshot()) : null;
    if (volume == null) {
      return;
    }
    SettingsChange change = new SettingsChange(someSettings(), settings());
    change(volume, null, "change of " + change.keys() + " of " + volume.name);
    volume.nextSettings = change.applyTo(volume.settings);
    volume.transition = sim.node().changeSettings(volume.name, change);
  }

  private Set<SettingsChange.Key> someSettings() {
    Set<SettingsChange.Key> keys = EnumSet.noneOf(SettingsChange.Key.class);
    for (SettingsChange.Key key : SettingsChange.Key.values()) {
      if (random.oneIn(2)) {
        keys.add(key);
      }
    }
    return keys;
  }

  /** Sometimes more than a block of the log. */
  private VolumeSettings settings() {
    List<String> names = new ArrayList<>();
    int count = random.oneIn(8) ? VolumeSettings.MAXIMUM_NAMES : random.nextInt(3);
    String padding = "x".repeat(count > 2 ? 400 : 0);
    for (int i = 0; i < count; i++) {
      names.add("CN=client-" + random.nextInt(100) + padding + ",O=Example");
    }
    String description = random.oneIn(4) ? "" : "volume " + random.nextInt(1000);
    List<TlsMode> modes = List.of(TlsMode.values());
    return new VolumeSettings(
        description,
        random.oneIn(4) ? Optional.empty() : Optional.of(modes.get(random.nextInt(modes.size()))),
        names);
  }

  private void create(String name, int sectors) {
    SimVolume volume = new SimVolume(name, policy(), new VolumeModel(name, sectors, damaged));
    volume.settings = random.oneIn(2) ? settings() : VolumeSettings.DEFAULT;
    begin(volume, "creation of " + name);
    volume.transition =
        sim.node().createVolume(name, volume.sizeBytes(), volume.policy, volume.settings);
  }

  private void takeSnapshot(SimVolume volume) {
    if (count(SimVolume::isSnapshot) >= maxSnapshots) {
      return;
    }
    SimVolume snapshot = SimVolume.snapshot(volume, "s" + ++lastName);
    snapshot.source = volume;
    begin(snapshot, "snapshot " + snapshot.name);
    snapshot.transition = sim.node().createSnapshot(volume.name, snapshot.snapshotName());
  }

  private void makeClone(SimVolume source) {
    if (count(SimCatalogue::isClone) >= maxClones) {
      return;
    }
    String name = "c" + ++lastName;
    SimVolume clone = new SimVolume(name, policy(), source.model.beginCopy(name));
    clone.source = source;
    clone.settings = (source.isSnapshot() ? source.origin : source).settings.ofCopy();
    begin(clone, "clone " + name + " of " + source.name);
    clone.transition = sim.node().cloneVolume(source.name, name, clone.policy);
  }

  /** A volume or snapshot begins to exist. */
  private void begin(SimVolume volume, String what) {
    boolean _ = client.takeReserved();
    volumes.put(volume.name, volume);
    note.accept(what);
  }

  private void delete(SimVolume volume) {
    if (volume == null) {
      return;
    }
    client.finish();
    boolean mustSucceed = client.takeReserved();
    note.accept("deletion of " + volume.name);
    if (volume.isSnapshot()) {
      volume.transition =
          sim.node().deleteSnapshot(volume.origin.name, volume.snapshotName(), false);
    } else {
      boolean force = count(other -> isSnapshotOf(other, volume)) > 0;
      volume.transition = sim.node().deleteVolume(volume.name, force);
    }
    for (SimVolume other : volumes.values()) {
      if (other.equals(volume) || isSnapshotOf(other, volume)) {
        other.state = State.DELETING;
        other.mustSucceed = mustSucceed;
        other.transition = volume.transition;
      }
    }
  }

  private static boolean isSnapshotOf(SimVolume candidate, SimVolume volume) {
    return volume.equals(candidate.origin);
  }

  private void rollBack(SimVolume snapshot) {
    if (snapshot == null || !snapshot.origin.isUsable()) {
      return;
    }
    SimVolume volume = snapshot.origin;
    change(
        volume,
        snapshot.model.resized(volume.name, snapshot.model.sectors()),
        "rollback to " + snapshot.name);
    volume.transition = sim.node().rollback(volume.name, snapshot.snapshotName(), false);
  }

  /** Whole blocks only: what a part of a block holds beyond the end of a volume is not promised. */
  private void resize(SimVolume volume) {
    int sectors = BLOCK_SECTORS * (1 + random.nextInt(MAX_BLOCKS));
    change(volume, volume.model, "resize of " + volume.name + " to " + sectors + " sectors");
    volume.next = volume.model.resized(volume.name, sectors);
    volume.transition =
        sim.node().resizeVolume(volume.name, (long) sectors * SimRequest.SECTOR_BYTES, true);
  }

  /** A volume is changed as a whole: nothing else is on its way. */
  private void change(SimVolume volume, VolumeModel next, String what) {
    client.finish();
    boolean _ = client.takeReserved();
    volume.state = State.CHANGING;
    volume.next = next;
    note.accept(what);
  }

  private FlushPolicy policy() {
    return random.oneIn(4) ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
  }

  /** Looks whether commands have ended. */
  void settle(boolean wait) {
    for (SimVolume volume : List.copyOf(volumes.values())) {
      if (volume.isUsable() || volume.state == State.UNKNOWN) {
        continue;
      }
      if (wait) {
        sim.await(volume.transition::isDone);
      }
      if (volume.transition.isDone()) {
        settle(volume);
      }
    }
  }

  private void settle(SimVolume volume) {
    client.countOperation();
    volume.endCopy();
    boolean failed = volume.transition.isCompletedExceptionally();
    if (failed) {
      excuse(volume, volume.transition.exceptionNow());
    }
    State before = volume.state;
    volume.state = State.PRESENT;
    switch (before) {
      case CREATING -> {
        if (failed) {
          volumes.remove(volume.name);
        } else {
          volume.handle = handle(volume);
          checkSettings(volume);
          reader.settleCopy(volume);
        }
      }
      case CHANGING -> {
        if (!failed && volume.nextSettings != null) {
          volume.settings = volume.nextSettings;
          volume.nextSettings = null;
          checkSettings(volume);
        } else if (!failed) {
          volume.model = volume.next;
        } else if (sim.storage().hasFailedSync()) {
          volume.state = State.UNKNOWN;
        }
        volume.next = null;
        volume.nextSettings = null;
      }
      default -> {
        if (!failed) {
          volumes.remove(volume.name);
        } else if (sim.storage().hasFailedSync()) {
          volume.state = State.UNKNOWN;
        }
      }
    }
  }

  /** Holds the settings of a volume to what is known; one on their way may be there or not. */
  private void checkSettings(SimVolume volume) {
    SimVolume owner = volume.isSnapshot() ? volume.origin : volume;
    VolumeSettings found = volume.handle.settings();
    if (owner.nextSettings != null && found.equals(owner.nextSettings)) {
      owner.settings = found;
    }
    owner.nextSettings = null;
    if (!found.equals(owner.settings)) {
      throw new Violation(
          Guarantee.SETTINGS, volume.name + " has " + found + ", and not " + owner.settings);
    }
  }

  private IndexedVolume handle(SimVolume volume) {
    return (IndexedVolume) sim.node().find(volume.name);
  }

  private void excuse(SimVolume volume, Throwable failure) {
    boolean excused =
        failure instanceof NodeException refusal
            && switch (refusal.reason()) {
              case NO_SPACE -> disk.isFull() && !volume.mustSucceed;
              case UNAVAILABLE -> sim.storage().hasFailedSync();
              default -> false;
            };
    if (!excused) {
      throw new Violation(
          disk.isFull() ? Guarantee.G8 : Guarantee.CATALOGUE,
          volume.state + " " + volume.name + " has failed: " + failure.getMessage());
    }
  }

  /** The process has died. */
  void crashed() {
    volumes.values().forEach(volume -> volume.model.crashed());
  }

  /**
   * Finds everything after a crash and judges it.
   *
   * @return whether a command that was on its way shows without being durable, so that the next
   *     crash could take it back
   */
  boolean recover(boolean power) {
    boolean open = false;
    for (SimVolume volume : List.copyOf(volumes.values())) {
      State before = volume.state;
      volume.source = null;
      if (find(volume, power)) {
        judge(volume, power, before == State.CREATING);
        open |= before == State.CHANGING;
      } else {
        open |= before == State.DELETING;
      }
    }
    findNoOthers();
    return open;
  }

  /** Looks at a volume; at a snapshot, which does not change, now and then only. */
  private void judge(SimVolume volume, boolean power, boolean isNew) {
    if (isNew || !volume.isSnapshot() || random.oneIn(4)) {
      reader.recover(volume, power);
    }
  }

  /** Finds everything after an end with nothing on its way, and judges it. */
  void reopened(boolean durable) {
    for (SimVolume volume : List.copyOf(volumes.values())) {
      volume.mayVanish &= !durable;
      if (!find(volume, false)) {
        throw new Violation(Guarantee.CATALOGUE, volume.name + " is gone");
      }
      judge(volume, false, false);
    }
    findNoOthers();
  }

  /** Finds a volume after a start; one that was being created or deleted may be there or not. */
  private boolean find(SimVolume volume, boolean power) {
    volume.handle = handle(volume);
    boolean mustBeThere = volume.isUsable() || volume.state == State.CHANGING;
    if (volume.handle == null) {
      if (mustBeThere && !(power && volume.mayVanish)) {
        throw new Violation(Guarantee.CATALOGUE, volume.name + " is gone");
      }
      volumes.remove(volume.name);
      return false;
    }
    volume.mayVanish = !power && (volume.mayVanish || !mustBeThere);
    volume.state = State.PRESENT;
    long size = volume.handle.sizeBytes();
    long otherSize =
        volume.next == null
            ? volume.sizeBytes()
            : (long) volume.next.sectors() * SimRequest.SECTOR_BYTES;
    boolean hasPolicy =
        !(volume.handle instanceof LogVolume found) || found.flushPolicy() == volume.policy;
    if ((size != volume.sizeBytes() && size != otherSize) || !hasPolicy) {
      throw new Violation(Guarantee.CATALOGUE, volume.name + " has another size or policy");
    }
    checkSettings(volume);
    return true;
  }

  private void findNoOthers() {
    List<String> found = new ArrayList<>();
    for (LogVolume volume : sim.node().volumes()) {
      found.add(volume.name());
      for (SnapshotVolume snapshot : volume.visibleSnapshots()) {
        found.add(snapshot.name());
      }
    }
    for (String name : found) {
      if (!volumes.containsKey(name)) {
        throw new Violation(Guarantee.CATALOGUE, name + " has come back");
      }
    }
  }

  /** Deletes everything, as far as a full disk lets it. */
  void deleteAll() {
    for (SimVolume volume : List.copyOf(volumes.values())) {
      if (!volume.isSnapshot()) {
        delete(volume);
        settle(true);
      }
    }
    if (volumes.isEmpty()) {
      // Else the checkpoint of an orderly stop keeps what is still being freed.
      VolumeStore store = sim.node().store(0);
      long blocksPerSegment = sim.node().journal(0).blocksPerSegment();
      sim.await(
          () -> store.indexBytes() == sim.node().journal(0).segmentsInUse() * blocksPerSegment);
    }
  }

  /** Everything was deleted and the log closed in order: all of the space must have come back. */
  void checkEmpty() {
    if (!volumes.isEmpty()) {
      return;
    }
    long alive = IndexCheck.run(sim);
    int segments = sim.node().journal(0).segmentsInUse();
    if (alive > 0 || segments > MAX_EMPTY_SEGMENTS) {
      throw new Violation(
          Guarantee.SPACE,
          "everything was deleted, and "
              + alive
              + " blocks are alive in "
              + segments
              + " segments");
    }
  }
}
