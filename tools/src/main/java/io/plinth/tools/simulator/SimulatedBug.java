package io.plinth.tools.simulator;

import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.ReplicationBug;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.node.ClusterBugs;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A mistake that can be planted in the nodes of a run.
 *
 * @param name of the constant that stands for it
 * @param planted it, if a node by itself can make it
 * @param clusterBugs it, if only a node with others can
 */
record SimulatedBug(String name, Set<PlantedBug> planted, ClusterBugs clusterBugs) {
  /** What needs scrubs, or restoring: tests of their own find it. */
  private static final Set<PlantedBug> OF_SCENARIOS =
      Set.of(
          PlantedBug.SCRUB_SKIPS_UNREADABLE,
          PlantedBug.SCRUB_REPORTS_DEAD,
          PlantedBug.RESTORE_FORGETS_UNMAP);

  /** What needs two nodes that have forgotten what they promised, or one that was long away. */
  private static final Set<CatalogueBug> OF_MOVES =
      Set.of(CatalogueBug.NEWCOMER_BEGINS_AS_MEMBER, CatalogueBug.BEGUN_BY_OLD_CATALOGUE);

  /** What needs groups with other members. */
  private static final Set<PlantedBug> OF_GROUPS =
      Set.of(
          PlantedBug.APPLY_BEFORE_COMMIT,
          PlantedBug.APPLY_SKIPS_ENTRY,
          PlantedBug.APPLY_TORN_REQUEST,
          PlantedBug.READ_AS_DEPOSED,
          PlantedBug.REPLAY_SKIPS_KEPT,
          PlantedBug.CHECKPOINT_DROPS_KEPT,
          PlantedBug.TAIL_NOT_REWRITTEN);

  /** Returns all bugs. */
  static List<SimulatedBug> all() {
    List<SimulatedBug> all = new ArrayList<>();
    for (PlantedBug bug : PlantedBug.values()) {
      all.add(new SimulatedBug(bug.name(), Set.of(bug), ClusterBugs.NONE));
    }
    for (ReplicationBug bug : ReplicationBug.values()) {
      all.add(ofCluster(bug.name(), new ClusterBugs(Set.of(bug), Set.of(), Set.of())));
    }
    for (ForwardingBug bug : ForwardingBug.values()) {
      all.add(ofCluster(bug.name(), new ClusterBugs(Set.of(), Set.of(bug), Set.of())));
    }
    for (CatalogueBug bug : CatalogueBug.values()) {
      all.add(ofCluster(bug.name(), new ClusterBugs(Set.of(), Set.of(), Set.of(bug))));
    }
    return all;
  }

  private static SimulatedBug ofCluster(String name, ClusterBugs bugs) {
    return new SimulatedBug(name, Set.of(), bugs);
  }

  /** Returns the bug of that name, in any case, or null. */
  static SimulatedBug find(String name) {
    return all().stream().filter(bug -> bug.name.equalsIgnoreCase(name)).findFirst().orElse(null);
  }

  /** Returns whether only nodes with others can make it. */
  boolean needsOthers() {
    return planted.isEmpty() || OF_GROUPS.containsAll(planted);
  }

  /** Returns which simulation it is for, in words. */
  String simulation() {
    if (!planted.isEmpty() && OF_SCENARIOS.containsAll(planted)) {
      return "tests of scrubs and restoring";
    }
    Set<CatalogueBug> ofCatalogue = clusterBugs.catalogue();
    if (!ofCatalogue.isEmpty() && OF_MOVES.containsAll(ofCatalogue)) {
      return "tests of moves";
    }
    return needsOthers() ? "--nodes 3, 5" : "--nodes 1";
  }

  /** Reads the name of a bug. */
  static final class Converter implements ITypeConverter<SimulatedBug> {
    @Override
    public SimulatedBug convert(String value) {
      SimulatedBug bug = find(value);
      if (bug == null) {
        throw new TypeConversionException("'" + value + "' is no bug: see --list-bugs");
      }
      return bug;
    }
  }
}
