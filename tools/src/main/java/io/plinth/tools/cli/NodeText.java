package io.plinth.tools.cli;

import io.plinth.target.main.ListenAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A node of a cluster as it is given on the command line: {@code
 * NUMBER=HOST:PORT[,admin=HOST:PORT][,rack=NAME]}.
 *
 * @param number its number
 * @param address where other nodes reach it
 * @param admin its admin API: on the same host, unless it is given
 * @param rack what fails together with it; empty when that is not said
 */
record NodeText(int number, ListenAddress address, ListenAddress admin, String rack) {
  private static final int ADMIN_PORT = 10_810;
  private static final int NBD_PORT = 10_809;
  private static final Pattern COMMA = Pattern.compile(",");
  private static final Pattern NUMBER = Pattern.compile("[1-9][0-9]{0,4}");

  static NodeText parse(String text) {
    try {
      int equals = text.indexOf('=');
      if (equals < 0 || !NUMBER.matcher(text.substring(0, equals)).matches()) {
        throw new IllegalArgumentException("expected NUMBER=HOST:PORT");
      }
      List<String> parts = COMMA.splitAsStream(text.substring(equals + 1)).toList();
      ListenAddress address = ListenAddress.parse(parts.isEmpty() ? "" : parts.get(0));
      ListenAddress admin = new ListenAddress(address.host(), ADMIN_PORT);
      String rack = "";
      for (String part : parts.subList(1, parts.size())) {
        if (part.startsWith("admin=")) {
          admin = ListenAddress.parse(part.substring("admin=".length()));
        } else if (part.startsWith("rack=")) {
          rack = part.substring("rack=".length());
        } else {
          throw new IllegalArgumentException("expected admin=HOST:PORT or rack=NAME, not " + part);
        }
      }
      if (address.port() == 0) {
        throw new IllegalArgumentException("the port must not be 0");
      }
      int number = Integer.parseInt(text.substring(0, equals));
      return new NodeText(number, address, admin, rack);
    } catch (IllegalArgumentException e) {
      throw CliException.usage("bad node " + text + ": " + e.getMessage(), e);
    }
  }

  /** Returns the same node in another rack. */
  NodeText in(String otherRack) {
    return new NodeText(number, address, admin, otherRack);
  }

  /** Returns the node as options of a command have it. */
  String option() {
    return "--node "
        + number
        + "="
        + address
        + ",admin="
        + admin
        + (rack.isEmpty() ? "" : ",rack=" + rack);
  }

  /**
   * Returns the configuration of a node.
   *
   * @param cluster its name
   * @param self which of the nodes it is for
   * @param nodes those that it names
   * @param cores how many each node has
   * @param joins whether it joins a cluster that runs
   */
  static String configuration(
      String cluster, NodeText self, List<NodeText> nodes, int cores, boolean joins) {
    List<String> lines = new ArrayList<>();
    lines.add("data-dir = \"plinth-data\"");
    lines.add("cores = " + cores);
    lines.add("admin.listen = " + quoted(self.admin.toString()));
    String nbd = new ListenAddress(self.address.host(), NBD_PORT).toString();
    lines.add("nbd.listen = [" + quoted(nbd) + "]");
    lines.add("");
    lines.add("[cluster]");
    lines.add("name = " + quoted(cluster));
    lines.add("node = " + self.number);
    if (joins) {
      lines.add("join = true");
    }
    for (NodeText node : nodes) {
      lines.add("");
      lines.add("[[cluster.member]]");
      lines.add("node = " + node.number);
      lines.add("address = " + quoted(node.address.toString()));
      lines.add("admin = " + quoted(node.admin.toString()));
      if (!node.rack.isEmpty()) {
        lines.add("rack = " + quoted(node.rack));
      }
    }
    return String.join("\n", lines) + "\n";
  }

  private static String quoted(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
  }
}
