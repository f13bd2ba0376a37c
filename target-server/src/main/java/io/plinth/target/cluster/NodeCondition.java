package io.plinth.target.cluster;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How a node is, as the leader of the catalogue sees it.
 *
 * @param node its number
 * @param state in a word
 * @param silentMs for how long it has not been heard, in milliseconds
 * @param replicas how many replicas it has, or is to have by a move that is not ended
 * @param words what is wrong, since when, and what happens next; a line each
 */
public record NodeCondition(
    int node, State state, long silentMs, int replicas, List<String> words) {
  /** Shorter silence is not worth a word. */
  private static final long QUIET_NS = 2_000_000_000L;

  /** A node in a word. */
  public enum State {
    /** It is well. */
    ACTIVE,
    /**
     * It was admitted, or has begun with an empty directory, and has not all that it is to have.
     */
    JOINING,
    /** It can be reached, and some of its replicas are behind or have stopped. */
    DEGRADED,
    /** It was not heard for a while. */
    UNREACHABLE,
    /** It was not heard for so long that its replicas are rebuilt on other nodes. */
    FAILED,
    /** Its replicas go to other nodes, as somebody has asked for. */
    DRAINING,
    /** It is not to come back. */
    REMOVED;

    /** Returns the word. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * What a condition is made of.
   *
   * @param node its number
   * @param role what it is to be
   * @param silentNs for how long it has not been heard
   * @param isNew whether it has begun with an empty directory and has not everything
   * @param replicas how many replicas it has, or is to have
   * @param leaving how many of those are on their way to other nodes
   * @param problems what is wrong with its replicas, a line each
   * @param blocked what can't leave it, and why; also what could not if it had to
   */
  public record Facts(
      int node,
      NodeRole role,
      long silentNs,
      boolean isNew,
      int replicas,
      int leaving,
      List<String> problems,
      List<String> blocked) {
    /** Copies the lists. */
    public Facts {
      problems = List.copyOf(problems);
      blocked = List.copyOf(blocked);
    }
  }

  /** Copies the list. */
  public NodeCondition {
    words = List.copyOf(words);
  }

  /** Judges a node. */
  public static NodeCondition of(Facts facts, KeeperSettings settings) {
    State state = state(facts, settings);
    List<String> words = new ArrayList<>();
    boolean isSilent = facts.silentNs >= QUIET_NS || facts.silentNs >= settings.unreachableNs();
    if (isSilent) {
      words.add("not heard for " + text(facts.silentNs));
    }
    switch (state) {
      case ACTIVE -> {
        if (isSilent) {
          words.add("it counts as unreachable after " + text(settings.unreachableNs()));
        }
      }
      case JOINING -> {
        if (facts.role.kind() != NodeRole.Kind.JOINING) {
          words.add("it has begun with an empty directory, and is given what it is to have");
        } else if (isSilent) {
          words.add("it is admitted: start it with 'join = true' in its [cluster]");
        } else {
          words.add("it is admitted, and is active and gets replicas when it has the catalogue");
        }
      }
      case DEGRADED -> words.addAll(facts.problems);
      case UNREACHABLE -> {
        if (facts.replicas > 0) {
          words.add("volumes are served by their other replicas");
          long leftNs = settings.rebuildNs() - facts.silentNs;
          words.add("in " + text(leftNs) + " its replicas are rebuilt on other nodes");
        }
      }
      case FAILED ->
          words.add(
              facts.replicas == 0
                  ? "it has no replicas: what it had is on other nodes"
                  : "its replicas are rebuilt on other nodes: " + left(facts));
      case DRAINING -> {
        words.add(
            facts.replicas == 0
                ? "it has no replicas any more, and may be stopped or removed"
                : "its replicas go to other nodes: " + left(facts));
        if (facts.role.replacement() != 0) {
          words.add("node " + facts.role.replacement() + " takes its place where it can");
        }
      }
      case REMOVED ->
          words.add(
              facts.replicas == 0
                  ? "it is not to come back"
                  : "it is not to come back, and its replicas are rebuilt on other nodes: "
                      + left(facts));
    }
    if (state != State.ACTIVE && state != State.JOINING && state != State.DEGRADED) {
      words.addAll(facts.blocked);
    }
    return new NodeCondition(facts.node, state, facts.silentNs / 1_000_000, facts.replicas, words);
  }

  private static String left(Facts facts) {
    return facts.replicas + " are left, " + facts.leaving + " of them on their way";
  }

  private static State state(Facts facts, KeeperSettings settings) {
    return switch (facts.role.kind()) {
      case REMOVED -> State.REMOVED;
      case JOINING -> State.JOINING;
      case DRAINING -> State.DRAINING;
      case IN_SERVICE -> {
        if (facts.silentNs >= settings.unreachableNs()) {
          yield facts.silentNs >= settings.rebuildNs() ? State.FAILED : State.UNREACHABLE;
        }
        if (facts.isNew) {
          yield State.JOINING;
        }
        yield facts.problems.isEmpty() ? State.ACTIVE : State.DEGRADED;
      }
    };
  }

  /** Returns a time as people say it, to the second, or the tenth of one. */
  private static String text(long ns) {
    if (ns < 10_000_000_000L) {
      return String.format(Locale.ROOT, "%.1f s", ns / 1e9);
    }
    Duration time = Duration.ofNanos(ns);
    if (time.toMinutes() == 0) {
      return time.toSeconds() + " s";
    }
    String rest = time.toSecondsPart() == 0 ? "" : " " + time.toSecondsPart() + " s";
    return time.toHours() == 0
        ? time.toMinutes() + " min" + rest
        : time.toHours() + " h " + time.toMinutesPart() + " min";
  }
}
