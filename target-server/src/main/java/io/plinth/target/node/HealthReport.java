package io.plinth.target.node;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What a node tells the leader of the catalogue of replicas that are not well, its own and those of
 * volumes that it leads.
 *
 * @param isNew whether the node has begun with an empty directory and has not everything
 * @param problems the first of them
 */
record HealthReport(boolean isNew, List<Problem> problems) {
  /** More are not told of: that many make the picture clear. */
  static final int MOST_PROBLEMS = 12;

  private static final int MOST_CHARACTERS = 200;

  /** What is wrong with the replica of a volume on a node. */
  record Problem(int node, String volume, String text) {}

  HealthReport {
    problems = List.copyOf(problems.subList(0, Math.min(problems.size(), MOST_PROBLEMS)));
  }

  boolean isEmpty() {
    return !isNew && problems.isEmpty();
  }

  /** Encodes the problems: a line each, node, volume and text separated by tabs, in UTF-8. */
  byte[] encode() {
    StringBuilder lines = new StringBuilder();
    for (Problem problem : problems) {
      String text = problem.text.substring(0, Math.min(problem.text.length(), MOST_CHARACTERS));
      lines.append(problem.node).append('\t').append(problem.volume).append('\t').append(text);
      lines.append('\n');
    }
    return lines.toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Takes back what {@link #encode} has made; what makes no sense is passed over. */
  static HealthReport decode(boolean isNew, byte[] bytes) {
    List<Problem> problems = new ArrayList<>();
    new String(bytes, StandardCharsets.UTF_8)
        .lines()
        .forEach(line -> {
          String[] parts = line.split("\t", 3);
          if (parts.length == 3 && parts[0].matches("[0-9]{1,9}")) {
            problems.add(new Problem(Integer.parseInt(parts[0]), parts[1], parts[2]));
          }
        });
    return new HealthReport(isNew, problems);
  }
}
