package io.plinth.tools.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * Aligned columns for people: the first to the left, the others as told. No line ends in spaces.
 */
final class Table {
  private final List<List<String>> rows = new ArrayList<>();
  private final String alignment;

  /**
   * A table.
   *
   * @param alignment one letter per column: {@code l} left, {@code r} right
   */
  Table(String alignment, String... header) {
    this.alignment = alignment;
    row(header);
  }

  final void row(String... cells) {
    if (cells.length != alignment.length()) {
      throw new IllegalArgumentException(
          cells.length + " cells for " + alignment.length() + " columns");
    }
    rows.add(List.of(cells));
  }

  void print(PrintWriter out) {
    int[] widths = new int[alignment.length()];
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < widths.length; i++) {
        String padding = " ".repeat(widths[i] - row.get(i).length());
        line.append(i == 0 ? "" : "  ");
        line.append(alignment.charAt(i) == 'r' ? padding + row.get(i) : row.get(i) + padding);
      }
      out.println(line.toString().stripTrailing());
    }
  }
}
