package io.plinth.target.main;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.security.VerifyClients;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.tomlj.Toml;
import org.tomlj.TomlArray;
import org.tomlj.TomlParseError;
import org.tomlj.TomlParseResult;
import org.tomlj.TomlTable;

/**
 * Reads {@code plinth.toml} into a {@link ServerConfig.Builder}. Every fault is a {@link
 * ConfigException} whose one line starts with {@code file:line:}. Relative paths in the file are
 * relative to the file's directory.
 */
public final class ConfigLoader {
  /** What a key's value is read as and where it goes; keys are written as in messages, dotted. */
  private static final Map<String, Setter> KEYS = keys();

  private static final Set<String> VOLUME_KEYS =
      Set.of(
          "volume.name",
          "volume.size",
          "volume.flush-policy",
          "volume.description",
          "volume.tls",
          "volume.tls-allow");

  private static final Set<String> MEMBER_KEYS = Set.of("node", "address", "admin", "rack");

  /** The highest number of a node. */
  private static final int MAXIMUM_NODE = 65_535;

  private final String fileName;
  private final Path directory;
  private final TomlParseResult document;
  private final ServerConfig.Builder builder;

  /**
   * Takes the value of one key; throws IllegalArgumentException, without place or key, when it is
   * not as expected.
   */
  @FunctionalInterface
  private interface Setter {
    void set(ConfigLoader loader, Object value);
  }

  private ConfigLoader(Path file, TomlParseResult document, ServerConfig.Builder builder) {
    this.fileName = String.valueOf(file.getFileName());
    Path parent = file.getParent();
    this.directory = parent == null ? Path.of("") : parent;
    this.document = document;
    this.builder = builder;
  }

  /**
   * Reads a file.
   *
   * @throws ConfigException when it cannot be read, is not TOML, has an unknown key or a bad value
   */
  public static ServerConfig.Builder load(Path file) throws ConfigException {
    ConfigLoader loader = new ConfigLoader(file, Toml.parse(read(file)), ServerConfig.builder());
    loader.apply();
    return loader.builder;
  }

  private static String read(Path file) throws ConfigException {
    try {
      return Files.readString(file);
    } catch (NoSuchFileException e) {
      throw new ConfigException("no such configuration file: " + file, e);
    } catch (AccessDeniedException e) {
      throw new ConfigException("no permission to read the configuration file " + file, e);
    } catch (CharacterCodingException e) {
      throw new ConfigException("the configuration file " + file + " is not UTF-8 text", e);
    } catch (IOException e) {
      throw new ConfigException(
          "cannot read the configuration file " + file + ": " + e.getMessage(), e);
    }
  }

  private void apply() throws ConfigException {
    if (document.hasErrors()) {
      TomlParseError error = document.errors().getFirst();
      String text = String.valueOf(error.getMessage()).lines().findFirst().orElse("not TOML");
      throw new ConfigException(fileName + ":" + error.position().line() + ": " + text, error);
    }
    for (String key : document.keySet()) {
      Object value = document.get(List.of(key));
      int line = line(document, key);
      if (key.equals("volume")) {
        continue;
      }
      if (hasKeysUnder(key)) {
        if (!(value instanceof TomlTable table)) {
          throw new ConfigException(
              fileName
                  + ":"
                  + line
                  + ": bad value for '"
                  + key
                  + "': expected a table: write ["
                  + key
                  + "]");
        }
        applyTable(key, table);
      } else {
        applyKey(key, value, line);
      }
    }
    // Last, so that a volume without a flush policy gets the file's own default wherever that
    // stands.
    applyVolumes();
  }

  private void applyTable(String prefix, TomlTable table) throws ConfigException {
    for (String key : table.keySet()) {
      applyKey(prefix + "." + key, table.get(List.of(key)), line(table, key));
    }
  }

  private void applyKey(String key, Object value, int line) throws ConfigException {
    Setter setter = KEYS.get(key);
    if (setter == null) {
      throw unknown(key, line, knownNames());
    }
    try {
      setter.set(this, value);
    } catch (IllegalArgumentException e) {
      throw new ConfigException(
          fileName + ":" + line + ": bad value for '" + key + "': " + e.getMessage(), e);
    }
  }

  private void applyVolumes() throws ConfigException {
    Object value = document.get(List.of("volume"));
    if (value == null) {
      return;
    }
    int line = line(document, "volume");
    if (!(value instanceof TomlArray array)) {
      throw new ConfigException(
          fileName + ":" + line + ": 'volume' is a list of tables: write [[volume]]");
    }
    for (int i = 0; i < array.size(); i++) {
      if (!array.isTable(i)) {
        throw new ConfigException(
            fileName + ":" + line + ": 'volume' is a list of tables: write [[volume]]");
      }
      applyVolume(array.getTable(i), array.inputPositionOf(i).line());
    }
  }

  private void applyVolume(TomlTable table, int tableLine) throws ConfigException {
    for (String key : table.keySet()) {
      if (!VOLUME_KEYS.contains("volume." + key)) {
        throw unknown("volume." + key, line(table, key), VOLUME_KEYS);
      }
    }
    String key = "name";
    try {
      String name = text(required(table, "name"));
      VolumeSpec.checkName(name);
      key = "size";
      long size = size(required(table, "size"));
      VolumeSpec.checkSize(size);
      key = "flush-policy";
      Object policy = table.get(List.of(key));
      FlushPolicy flushPolicy =
          policy == null ? builder.flushPolicy() : FlushPolicy.parse(text(policy));
      // One after the other, so that a fault is told where it is.
      VolumeSettings settings = VolumeSettings.DEFAULT;
      for (SettingsChange.Key setting : SettingsChange.Key.values()) {
        key = setting.word();
        Object value = table.get(List.of(key));
        if (value != null) {
          settings = setting(setting, value).applyTo(settings);
        }
      }
      builder.addVolume(new VolumeSpec(name, size, flushPolicy, settings));
    } catch (IllegalArgumentException e) {
      int line = table.contains(List.of(key)) ? line(table, key) : tableLine;
      throw new ConfigException(
          fileName + ":" + line + ": bad value for 'volume." + key + "': " + e.getMessage(), e);
    }
  }

  private static SettingsChange setting(SettingsChange.Key key, Object value) {
    VolumeSettings none = VolumeSettings.DEFAULT;
    VolumeSettings values =
        switch (key) {
          case DESCRIPTION -> new VolumeSettings(text(value), none.tls(), none.tlsAllow());
          case TLS ->
              new VolumeSettings("", Optional.of(TlsMode.parse(text(value))), none.tlsAllow());
          case TLS_ALLOW -> new VolumeSettings("", none.tls(), texts(value));
        };
    return new SettingsChange(EnumSet.of(key), values);
  }

  private static Map<String, Setter> keys() {
    Map<String, Setter> keys = new TreeMap<>();
    keys.put("data-dir", (loader, value) -> loader.builder.dataDir(loader.path(value)));
    keys.put(
        "cores",
        (loader, value) ->
            loader.builder.cores((int) number(value, 1, ServerConfig.MAXIMUM_CORES)));
    keys.put("nbd.listen", (loader, value) -> loader.builder.nbdListen(addresses(value)));
    keys.put("nbd.unix", (loader, value) -> loader.builder.nbdUnix(loader.paths(value)));
    keys.put(
        "nbd.default-export", (loader, value) -> loader.builder.defaultExport(volumeName(value)));
    keys.put(
        "nbd.max-connections",
        (loader, value) -> loader.builder.maxConnections((int) number(value, 1, 1_000_000)));
    keys.put(
        "nbd.max-connections-per-volume",
        (loader, value) ->
            loader.builder.maxConnectionsPerVolume((int) number(value, 1, 1_000_000)));
    keys.put("nbd.resize", (loader, value) -> loader.builder.resize(flag(value)));
    keys.put("nbd.tls", (loader, value) -> loader.builder.tls(TlsMode.parse(text(value))));
    keys.put(
        "nbd.tls-certificates",
        (loader, value) -> loader.builder.tlsCertificates(loader.path(value)));
    keys.put(
        "nbd.tls-verify-clients",
        (loader, value) -> loader.builder.tlsVerifyClients(VerifyClients.parse(text(value))));
    keys.put("nbd.tls-psk", (loader, value) -> loader.builder.tlsPsk(loader.path(value)));
    keys.put("nbd.idle-timeout", (loader, value) -> loader.builder.idleTimeoutS(idle(value)));
    keys.put(
        "admin.listen",
        (loader, value) -> loader.builder.adminListen(ListenAddress.parse(text(value))));
    keys.put(
        "log.segment-size", (loader, value) -> loader.builder.segmentSizeBytes(segmentSize(value)));
    keys.put("log.capacity", (loader, value) -> loader.builder.capacityBytes(size(value)));
    keys.put(
        "log.resident-memory", (loader, value) -> loader.builder.residentMemoryBytes(size(value)));
    keys.put("log.index-memory", (loader, value) -> loader.builder.indexMemoryBytes(size(value)));
    keys.put(
        "log.spare-segments",
        (loader, value) ->
            loader.builder.spareSegments(
                (int) number(value, 0, ServerConfig.MAXIMUM_SPARE_SEGMENTS)));
    keys.put("log.scrub-rate", (loader, value) -> loader.builder.scrubBytesPerSecond(rate(value)));
    keys.put(
        "log.scrub-interval", (loader, value) -> loader.builder.scrubIntervalS(interval(value)));
    keys.put("log.retention", (loader, value) -> loader.builder.retentionS(retention(value)));
    keys.put(
        "engine.spin-us", (loader, value) -> loader.builder.spinUs(number(value, 0, 1_000_000)));
    keys.put("engine.pin-cores", (loader, value) -> loader.builder.pinCores(flag(value)));
    keys.put("cluster.name", (loader, value) -> loader.builder.clusterName(clusterName(value)));
    keys.put(
        "cluster.node",
        (loader, value) -> loader.builder.clusterNode((int) number(value, 1, MAXIMUM_NODE)));
    keys.put(
        "cluster.unreachable-after",
        (loader, value) -> loader.builder.clusterUnreachableS(awayTime(value)));
    keys.put(
        "cluster.rebuild-after",
        (loader, value) -> loader.builder.clusterRebuildS(awayTime(value)));
    keys.put("cluster.join", (loader, value) -> loader.builder.clusterJoins(flag(value)));
    keys.put("cluster.member", (loader, value) -> loader.builder.clusterMembers(members(value)));
    keys.put(
        "engine.flush-policy",
        (loader, value) -> loader.builder.flushPolicy(FlushPolicy.parse(text(value))));
    return Map.copyOf(keys);
  }

  private static boolean hasKeysUnder(String table) {
    return KEYS.keySet().stream().anyMatch(key -> key.startsWith(table + "."));
  }

  private static Set<String> knownNames() {
    Set<String> names = new TreeSet<>(KEYS.keySet());
    names.addAll(VOLUME_KEYS);
    for (String key : KEYS.keySet()) {
      int dot = key.indexOf('.');
      if (dot > 0) {
        names.add(key.substring(0, dot));
      }
    }
    names.add("volume");
    return names;
  }

  private ConfigException unknown(String key, int line, Set<String> candidates) {
    return new ConfigException(
        String.format(
            Locale.ROOT,
            "%s:%d: unknown key '%s'; did you mean '%s'?",
            fileName,
            line,
            key,
            NearestName.of(key, candidates)));
  }

  private static int line(TomlTable table, String key) {
    return table.inputPositionOf(List.of(key)).line();
  }

  private static Object required(TomlTable table, String key) {
    Object value = table.get(List.of(key));
    if (value == null) {
      throw new IllegalArgumentException("it is missing");
    }
    return value;
  }

  private static String text(Object value) {
    if (value instanceof String string) {
      return string;
    }
    throw new IllegalArgumentException("expected a string, not " + describe(value));
  }

  private static String volumeName(Object value) {
    String name = text(value);
    VolumeSpec.checkName(name);
    return name;
  }

  private static String clusterName(Object value) {
    String name = text(value);
    if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,62}")) {
      throw new IllegalArgumentException(
          "expected letters, digits, '.', '_' and '-', at most 63, not \"" + name + "\"");
    }
    return name;
  }

  private static List<ClusterMap.Member> members(Object value) {
    String expected = "expected tables: write [[cluster.member]]";
    if (!(value instanceof TomlArray array)) {
      throw new IllegalArgumentException(expected);
    }
    List<ClusterMap.Member> members = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      if (!array.isTable(i)) {
        throw new IllegalArgumentException(expected);
      }
      try {
        members.add(member(array.getTable(i)));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(
            "the one of number " + (i + 1) + ": " + e.getMessage(), e);
      }
    }
    return members;
  }

  private static ClusterMap.Member member(TomlTable table) {
    for (String key : table.keySet()) {
      if (!MEMBER_KEYS.contains(key)) {
        throw new IllegalArgumentException(
            "unknown key '" + key + "'; did you mean '" + NearestName.of(key, MEMBER_KEYS) + "'?");
      }
    }
    Object number = table.get(List.of("node"));
    Object address = table.get(List.of("address"));
    Object admin = table.get(List.of("admin"));
    Object rack = table.get(List.of("rack"));
    if (number == null || address == null || admin == null) {
      throw new IllegalArgumentException("'node', 'address' or 'admin' is missing");
    }
    ListenAddress peers = ListenAddress.parse(text(address));
    if (peers.port() == 0) {
      throw new IllegalArgumentException("'address' needs a port that is not 0");
    }
    return new ClusterMap.Member(
        (int) number(number, 1, MAXIMUM_NODE),
        peers.host(),
        peers.port(),
        ListenAddress.parse(text(admin)).toString(),
        rack == null ? "" : text(rack));
  }

  private static long number(Object value, long minimum, long maximum) {
    if (!(value instanceof Long number)) {
      throw new IllegalArgumentException("expected a whole number, not " + describe(value));
    }
    if (number < minimum || number > maximum) {
      throw new IllegalArgumentException(
          String.format(Locale.ROOT, "expected %d to %d, not %d", minimum, maximum, number));
    }
    return number;
  }

  private static boolean flag(Object value) {
    if (value instanceof Boolean flag) {
      return flag;
    }
    throw new IllegalArgumentException("expected true or false, not " + describe(value));
  }

  private static long size(Object value) {
    if (value instanceof Long number && number >= 0) {
      return number;
    }
    if (value instanceof String string) {
      return Sizes.parse(string);
    }
    throw new IllegalArgumentException(
        "expected a size such as 4096 or \"1G\", not " + describe(value));
  }

  private static long rate(Object value) {
    long rate = size(value);
    if (rate != 0
        && (rate < ServerConfig.MINIMUM_SCRUB_RATE || rate > ServerConfig.MAXIMUM_SCRUB_RATE)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "expected %s to %s for each second, or 0 for none, not %s",
              Sizes.formatExact(ServerConfig.MINIMUM_SCRUB_RATE),
              Sizes.formatExact(ServerConfig.MAXIMUM_SCRUB_RATE),
              Sizes.formatExact(rate)));
    }
    return rate;
  }

  private static long idle(Object value) {
    long seconds = seconds(value);
    if (seconds > ServerConfig.MAXIMUM_IDLE_TIMEOUT_S) {
      throw new IllegalArgumentException(
          "expected 1s to 365d, or 0 for never, not " + seconds + "s");
    }
    return seconds;
  }

  private static long interval(Object value) {
    long seconds = seconds(value);
    if (seconds != 0
        && (seconds < ServerConfig.MINIMUM_SCRUB_INTERVAL_S
            || seconds > ServerConfig.MAXIMUM_SCRUB_INTERVAL_S)) {
      throw new IllegalArgumentException(
          "expected 1m to 365d, or 0 for only when asked, not " + seconds + "s");
    }
    return seconds;
  }

  private static long retention(Object value) {
    long seconds = seconds(value);
    if (seconds != 0
        && (seconds < ServerConfig.MINIMUM_RETENTION_S
            || seconds > ServerConfig.MAXIMUM_RETENTION_S)) {
      throw new IllegalArgumentException(
          "expected 10s to 365d, or 0 for none, not " + seconds + "s");
    }
    return seconds;
  }

  /** Returns for how long a node may not be heard, in seconds. */
  private static long awayTime(Object value) {
    long seconds = seconds(value);
    if (seconds < 1 || seconds > ServerConfig.MAXIMUM_IDLE_TIMEOUT_S) {
      throw new IllegalArgumentException("expected 1s to 365d, not " + seconds + "s");
    }
    return seconds;
  }

  private static long seconds(Object value) {
    if (value instanceof Long number && number >= 0) {
      return number;
    }
    if (value instanceof String string && string.matches("[0-9]{1,9}[smhd]")) {
      long number = Long.parseLong(string.substring(0, string.length() - 1));
      return switch (string.charAt(string.length() - 1)) {
        case 's' -> number;
        case 'm' -> TimeUnit.MINUTES.toSeconds(number);
        case 'h' -> TimeUnit.HOURS.toSeconds(number);
        default -> TimeUnit.DAYS.toSeconds(number);
      };
    }
    throw new IllegalArgumentException(
        "expected seconds such as 3600 or a time such as \"12h\" or \"7d\", not "
            + describe(value));
  }

  private static long segmentSize(Object value) {
    long size = size(value);
    if (Long.bitCount(size) != 1
        || size < ServerConfig.MINIMUM_SEGMENT_BYTES
        || size > ServerConfig.MAXIMUM_SEGMENT_BYTES) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "expected a power of two from %s to %s, not %s",
              Sizes.formatExact(ServerConfig.MINIMUM_SEGMENT_BYTES),
              Sizes.formatExact(ServerConfig.MAXIMUM_SEGMENT_BYTES),
              Sizes.formatExact(size)));
    }
    return size;
  }

  private static List<String> texts(Object value) {
    if (!(value instanceof TomlArray array)) {
      throw new IllegalArgumentException("expected a list of strings, not " + describe(value));
    }
    List<String> result = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      result.add(text(array.get(i)));
    }
    return result;
  }

  private static List<ListenAddress> addresses(Object value) {
    return texts(value).stream().map(ListenAddress::parse).toList();
  }

  private Path path(Object value) {
    String text = text(value);
    if (text.isEmpty()) {
      throw new IllegalArgumentException("expected a path, not an empty string");
    }
    return directory.resolve(text);
  }

  private List<Path> paths(Object value) {
    return texts(value).stream().map(this::path).toList();
  }

  private static String describe(Object value) {
    return switch (value) {
      case String string -> "the string \"" + string + "\"";
      case Long number -> "the number " + number;
      case Double number -> "the number " + number;
      case Boolean flag -> flag.toString();
      case TomlArray array -> "a list";
      case TomlTable table -> "a table";
      default -> "a date";
    };
  }
}
