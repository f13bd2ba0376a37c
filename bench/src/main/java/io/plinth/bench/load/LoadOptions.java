package io.plinth.bench.load;

import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What to do to which server.
 *
 * @param address where the server listens
 * @param export name of the volume, may be empty
 * @param operation which requests
 * @param blockBytes length of each request
 * @param queueDepth requests in flight per connection
 * @param connections how many
 * @param seconds how long to measure
 * @param warmupSeconds how long to run before
 * @param rangeBytes offsets stay below this; 0 for the whole volume
 * @param fua set the FUA flag on writes
 * @param json print one JSON object instead of text
 * @param serverPids processes whose CPU time is the server's
 * @param seed of the offsets
 */
record LoadOptions(
    SocketAddress address,
    String export,
    Operation operation,
    int blockBytes,
    int queueDepth,
    int connections,
    double seconds,
    double warmupSeconds,
    long rangeBytes,
    boolean fua,
    boolean json,
    List<Long> serverPids,
    long seed) {

  enum Operation {
    READ,
    WRITE,
    /** Reads and writes, half and half. */
    RANDRW
  }

  static final String USAGE =
      """
      usage: NbdLoad --uri ADDRESS [option...]
        --uri HOST:PORT | unix:PATH | nbd://HOST[:PORT][/EXPORT] | nbd+unix:///[EXPORT]?socket=PATH
        --export NAME            the volume (default: the server's default export)
        --op read|write|randrw   at random offsets (default: read)
        --block-size BYTES       4096; also 4K, 1M
        --queue-depth N          requests in flight per connection (default: 32)
        --connections N          each on a thread of its own (default: 1)
        --seconds N              how long to measure (default: 5)
        --warmup-seconds N       before that (default: 1)
        --range BYTES            offsets stay below this (default: the whole volume)
        --fua                    writes carry the FUA flag
        --server-pid PID[,PID]   also print their CPU time per operation
        --seed N                 of the offsets (default: 1)
        --json                   print one JSON object

      example: NbdLoad --uri 127.0.0.1:10809 --export demo --op write --queue-depth 32 --server-pid 4711
      """;

  /** Parses the command line; a {@link LoadException} says what is wrong. */
  static LoadOptions parse(String... arguments) throws LoadException {
    Parser parser = new Parser();
    for (int i = 0; i < arguments.length; i++) {
      String name = arguments[i];
      if (name.equals("--json")) {
        parser.json = true;
      } else if (name.equals("--fua")) {
        parser.fua = true;
      } else if (i + 1 == arguments.length) {
        throw new LoadException("unknown option or no value: " + name);
      } else {
        parser.set(name, arguments[++i]);
      }
    }
    return parser.finish();
  }

  /** Collects the options while they are read. */
  private static final class Parser {
    private SocketAddress address;
    private String export = "";
    private Operation operation = Operation.READ;
    private long blockBytes = 4096;
    private long queueDepth = 32;
    private long connections = 1;
    private double seconds = 5;
    private double warmupSeconds = 1;
    private long rangeBytes;
    private boolean fua;
    private boolean json;
    private final List<Long> serverPids = new ArrayList<>();
    private long seed = 1;

    void set(String name, String value) throws LoadException {
      try {
        switch (name) {
          case "--uri" -> uri(value);
          case "--export" -> export = value;
          case "--op" -> operation = Operation.valueOf(value.toUpperCase(Locale.ROOT));
          case "--block-size" -> blockBytes = bytes(value);
          case "--queue-depth" -> queueDepth = Long.parseLong(value);
          case "--connections" -> connections = Long.parseLong(value);
          case "--seconds" -> seconds = Double.parseDouble(value);
          case "--warmup-seconds" -> warmupSeconds = Double.parseDouble(value);
          case "--range" -> rangeBytes = bytes(value);
          case "--seed" -> seed = Long.parseLong(value);
          case "--server-pid" -> pids(value);
          default -> throw new LoadException("unknown option: " + name);
        }
      } catch (IllegalArgumentException e) {
        throw new LoadException("bad value of " + name + ": " + value, e);
      }
    }

    LoadOptions finish() throws LoadException {
      if (address == null) {
        throw new LoadException("--uri is missing");
      }
      require(blockBytes >= 512 && blockBytes <= 32 << 20, "--block-size is 512 to 32M");
      require(queueDepth >= 1 && queueDepth <= 4096, "--queue-depth is 1 to 4096");
      require(blockBytes * queueDepth <= 1 << 30, "--block-size times --queue-depth is at most 1G");
      require(connections >= 1 && connections <= 1024, "--connections is 1 to 1024");
      require(seconds > 0 && warmupSeconds >= 0, "--seconds is positive");
      require(rangeBytes == 0 || rangeBytes >= blockBytes, "--range is at least one block");
      return new LoadOptions(
          address,
          export,
          operation,
          (int) blockBytes,
          (int) queueDepth,
          (int) connections,
          seconds,
          warmupSeconds,
          rangeBytes,
          fua,
          json,
          List.copyOf(serverPids),
          seed);
    }

    private static void require(boolean condition, String message) throws LoadException {
      if (!condition) {
        throw new LoadException(message);
      }
    }

    private void pids(String value) {
      for (String pid : value.split(",", -1)) {
        serverPids.add(Long.parseLong(pid));
      }
    }

    private static long bytes(String value) {
      int last = value.length() - 1;
      int shift =
          switch (value.isEmpty() ? '0' : Character.toUpperCase(value.charAt(last))) {
            case 'K' -> 10;
            case 'M' -> 20;
            case 'G' -> 30;
            default -> 0;
          };
      return Long.parseLong(shift == 0 ? value : value.substring(0, last)) << shift;
    }

    private void uri(String uri) {
      if (uri.startsWith("nbd+unix:///")) {
        int query = uri.indexOf("?socket=");
        if (query < 0) {
          throw new IllegalArgumentException("no ?socket=");
        }
        export = uri.substring("nbd+unix:///".length(), query);
        address = UnixDomainSocketAddress.of(uri.substring(query + "?socket=".length()));
      } else if (uri.startsWith("nbd://")) {
        String rest = uri.substring("nbd://".length());
        int slash = rest.indexOf('/');
        if (slash >= 0) {
          export = rest.substring(slash + 1);
        }
        String host = slash >= 0 ? rest.substring(0, slash) : rest;
        address = tcp(host.lastIndexOf(':') > host.lastIndexOf(']') ? host : host + ":10809");
      } else if (uri.startsWith("unix:") || uri.startsWith("/")) {
        String path = uri.startsWith("/") ? uri : uri.substring("unix:".length());
        address = UnixDomainSocketAddress.of(path);
      } else {
        address = tcp(uri);
      }
    }

    private static SocketAddress tcp(String hostAndPort) {
      int colon = hostAndPort.lastIndexOf(':');
      String host = hostAndPort.substring(0, Math.max(0, colon));
      int port = Integer.parseInt(hostAndPort.substring(colon + 1));
      return new InetSocketAddress(host.replace("[", "").replace("]", ""), port);
    }
  }
}
