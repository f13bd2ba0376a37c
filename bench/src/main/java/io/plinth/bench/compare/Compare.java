package io.plinth.bench.compare;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The comparison: for each case (operation, queue depth, connections) the servers are measured in
 * turn, several times over, and the median of the ratios within each turn is printed. Servers start
 * anew for each turn, with the same gigabyte of random data, read once so that it is in the page
 * cache.
 *
 * <p>Usage: {@code Compare ROOT FOLDER [--pairs N] [--seconds N] [--fio] [--servers a,b] [--before
 * ROOT] [--connections N] [--ops read,write]}: {@code --before} names a built source tree of
 * another version of Plinth, which is measured as well. Ratios are those of the first server to
 * each.
 */
public final class Compare {
  private static final int VOLUME_BYTES = 1 << 30;
  private static final int FIRST_PORT = 21_809;

  private final Path root;
  private final Path folder;
  private int pairs = 5;
  private int seconds = 2;
  private int warmup = 1;
  private boolean fio;
  private int connections = 4;
  private List<String> ops = List.of("read", "write");
  private Path before;
  private List<String> servers = Peer.USUAL;

  /** What is measured. */
  record Case(String op, int depth, int connections) {
    @Override
    public String toString() {
      return op
          + ", depth "
          + depth
          + ", "
          + connections
          + (connections == 1 ? " connection" : " connections");
    }
  }

  private Compare(Path root, Path folder) {
    this.root = root;
    this.folder = folder;
  }

  /** Runs the comparison and prints Markdown tables. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    Compare compare = new Compare(Path.of(arguments[0]), Path.of(arguments[1]));
    for (int i = 2; i < arguments.length; i++) {
      switch (arguments[i]) {
        case "--pairs" -> compare.pairs = Integer.parseInt(arguments[++i]);
        case "--seconds" -> compare.seconds = Integer.parseInt(arguments[++i]);
        case "--warmup" -> compare.warmup = Integer.parseInt(arguments[++i]);
        case "--servers" -> compare.servers = List.of(arguments[++i].split(","));
        case "--fio" -> compare.fio = true;
        case "--ops" -> compare.ops = List.of(arguments[++i].split(","));
        case "--connections" -> compare.connections = Integer.parseInt(arguments[++i]);
        case "--before" -> compare.before = Path.of(arguments[++i]);
        default -> throw new IllegalArgumentException("unknown option " + arguments[i]);
      }
    }
    if (compare.before != null) {
      compare.servers = new ArrayList<>(compare.servers);
      compare.servers.add(1, Peer.BEFORE);
    }
    compare.run();
  }

  private void run() throws IOException, InterruptedException {
    Files.createDirectories(folder);
    fillImage();
    System.out.println(
        "client: "
            + (fio ? "fio, nbd engine" : "batched load generator")
            + "; "
            + pairs
            + " turns of "
            + seconds
            + " s");
    System.out.println();
    System.out.println(
        "| case | server | IOPS | p50 us | p99 us | server CPU us/op | the first one's IOPS ratio | CPU ratio | p50 ratio |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (String op : ops) {
      for (int depth : new int[] {1, 32}) {
        measure(new Case(op, depth, 1));
        if (connections > 1) {
          measure(new Case(op, depth, connections));
        }
      }
    }
    deleteTree(folder);
  }

  private void measure(Case what) throws IOException, InterruptedException {
    Map<String, List<Measurement>> results = new LinkedHashMap<>();
    for (int pair = 0; pair < pairs; pair++) {
      for (String name : servers) {
        results.computeIfAbsent(name, key -> new ArrayList<>()).add(turn(name, what));
      }
    }
    List<Measurement> ours = results.get(servers.get(0));
    for (Map.Entry<String, List<Measurement>> entry : results.entrySet()) {
      List<Measurement> theirs = entry.getValue();
      double[] iops = new double[pairs];
      double[] cpu = new double[pairs];
      double[] p50 = new double[pairs];
      for (int i = 0; i < pairs; i++) {
        iops[i] = ours.get(i).iops() / theirs.get(i).iops();
        cpu[i] = ours.get(i).serverCpuUs() / theirs.get(i).serverCpuUs();
        p50[i] = ours.get(i).p50Us() / theirs.get(i).p50Us();
      }
      System.out.printf(
          Locale.ROOT,
          "| %s | %s | %.0f | %.1f | %.1f | %.2f | %.2f | %.2f | %.2f |%n",
          what,
          entry.getKey(),
          median(theirs.stream().mapToDouble(Measurement::iops).toArray()),
          median(theirs.stream().mapToDouble(Measurement::p50Us).toArray()),
          median(theirs.stream().mapToDouble(Measurement::p99Us).toArray()),
          median(theirs.stream().mapToDouble(Measurement::serverCpuUs).toArray()),
          median(iops),
          median(cpu),
          median(p50));
    }
  }

  private Measurement turn(String name, Case what) throws IOException, InterruptedException {
    boolean ours = Peer.isOurs(name);
    if (ours) {
      deleteTree(folder.resolve("plinth-data"));
    }
    try (Peer peer =
        Peer.start(
            name,
            name.equals(Peer.BEFORE) ? before : root,
            folder,
            FIRST_PORT + servers.indexOf(name))) {
      if (ours) {
        copy(folder.resolve("peer.img").toString(), "nbd://" + peer.address() + "/demo");
      } else {
        warmPageCache();
      }
      return fio
          ? Measurement.fio(peer, what, seconds, warmup)
          : Measurement.load(peer, what, seconds, warmup);
    }
  }

  private static void copy(String from, String to) throws IOException, InterruptedException {
    Process process = new ProcessBuilder("nbdcopy", "--", from, to).inheritIO().start();
    if (process.waitFor() != 0) {
      throw new IOException("nbdcopy to " + to + " failed");
    }
  }

  private void fillImage() throws IOException {
    java.util.Random random = new java.util.Random(1);
    byte[] chunk = new byte[1 << 20];
    try (OutputStream out = Files.newOutputStream(folder.resolve("peer.img"))) {
      for (int at = 0; at < VOLUME_BYTES; at += chunk.length) {
        random.nextBytes(chunk);
        out.write(chunk);
      }
    }
  }

  private void warmPageCache() throws IOException {
    byte[] chunk = new byte[1 << 20];
    try (var in = Files.newInputStream(folder.resolve("peer.img"))) {
      int count = in.read(chunk);
      while (count > 0) {
        count = in.read(chunk);
      }
    }
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private static void deleteTree(Path tree) throws IOException {
    if (!Files.exists(tree)) {
      return;
    }
    try (Stream<Path> paths = Files.walk(tree)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
