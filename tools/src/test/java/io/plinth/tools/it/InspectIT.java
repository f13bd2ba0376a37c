package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code plinth inspect} on data directories that real servers have left. */
class InspectIT {
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 64;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void aDirectoryWithSnapshotsAndClonesIsDumpedAfterAKillAndNotChanged() throws Exception {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M");
    write(server, "demo", 0, 1);
    server.cli("volume", "snapshot", "create", "demo", "s1");
    write(server, "demo", 32, 2);
    // An orderly stop writes a checkpoint; the rest is replayed on top of it.
    assertThat(server.terminate()).isZero();
    server = servers.serve(data(), "--volume", "other=128M");
    server.cli("volume", "clone", "demo@s1", "copy");
    server.cli("volume", "snapshot", "create", "copy", "s1");
    write(server, "copy", 16, 3);
    server.cli("volume", "resize", "demo", "4G");
    write(server, "demo", 100_000, 4);
    server.kill();

    Map<Path, Object> before = state();
    JsonNode report = inspect("--verify");
    assertThat(state()).as("files and their times").isEqualTo(before);

    assertThat(report.get("problem").isNull()).isTrue();
    JsonNode log = report.get("logs").get(0);
    assertThat(strings(log.get("volumes"), "name"))
        .containsExactly("demo", "demo@s1", "other", "copy", "copy@s1");
    assertThat(longs(log.get("volumes"), "mappedBytes"))
        .containsExactly(160L * BLOCK, 64L * BLOCK, 0L, 80L * BLOCK, 64L * BLOCK);
    assertThat(longs(log.get("volumes"), "sizeBytes"))
        .containsExactly(4L << 30, 64L << 20, 128L << 20, 64L << 20, 64L << 20);
    assertThat(strings(log.get("superblocks"), "state"))
        .containsExactlyInAnyOrder("current", "older");
    JsonNode content = log.at("/checkpoint/content");
    assertThat(strings(content.get("volumes"), "name")).containsExactly("demo");
    assertThat(strings(content.at("/volumes/0/snapshots"), "name")).containsExactly("s1");
    assertThat(content.get("tableBlocks").intValue()).isEqualTo(1);
    assertThat(log.at("/recovery/summary").stringValue())
        .startsWith("log-0: the process was killed; ");
    assertThat(log.at("/records/write/records").longValue()).isEqualTo(4L * BLOCKS);
    assertThat(log.at("/records/write/blocks").longValue()).isEqualTo(4L * BLOCKS);
    assertThat(log.at("/records/meta root/records").longValue()).isPositive();
    // 64 of the first write, which the snapshot keeps, and 64 of each other.
    assertThat(sum(log.get("segments"), "liveData")).isEqualTo(4L * BLOCKS);
    assertThat(log.at("/verified/dataBlocks").longValue()).isEqualTo(4L * BLOCKS);
    assertThat(log.at("/verified/checkpointBlocks").longValue())
        .isEqualTo(sum(log.get("segments"), "liveMeta"));
    assertThat(log.at("/index/shared").longValue()).isPositive();
    for (JsonNode segment : log.get("segments")) {
      assertThat(segment.get("usedBytes").intValue() + segment.get("freeBytes").intValue())
          .isEqualTo(64 << 20);
    }

    assertThat(Shell.ok(60, command("inspect", data().toString())))
        .contains("log-0, segments of 64 MiB", "the process was killed")
        .contains("volumes: 1, snapshots: 1")
        .containsPattern("\n  write +256 +256\n")
        .containsPattern("\n  copy@s1 +[0-9]+ +1 +64 MiB +256 KiB +0 B +1");

    // A server counts the same, but for the checkpoint that it may be writing already.
    long live = sum(log.get("segments"), "liveData") * BLOCK;
    server = servers.serve(data());
    assertThat(server.status().at("/logs/0/liveBytes").longValue())
        .isBetween(live, live + 64 * BLOCK);
    assertFails(
        Shell.run(60, command("inspect", data().toString())),
        "data directory " + data() + " is in use by another server (process " + server.pid() + ")");
  }

  @Test
  void settingsOfVolumesAreShown() throws Exception {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M", "--volume", "other=64M");
    server.cli("volume", "set", "demo", "--description", "ledger, 2026", "--tls", "allowed");
    // A checkpoint has what was set so far; the rest is replayed.
    assertThat(server.terminate()).isZero();
    server = servers.serve(data());
    server.cli("volume", "set", "demo", "--tls-allow", "CN=a,O=B", "--tls-allow", "psk:c");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    server.cli("volume", "clone", "demo@s1", "copy");
    server.kill();

    JsonNode volumes = inspect().at("/logs/0/volumes");
    assertThat(strings(volumes, "name")).containsExactly("demo", "demo@s1", "other", "copy");
    String names = "\"tls\":\"allowed\",\"tls-allow\":[\"CN=a,O=B\",\"psk:c\"]}";
    assertThat(volumes.get(0).get("settings").toString())
        .isEqualTo("{\"description\":\"ledger, 2026\"," + names);
    assertThat(volumes.get(1).get("settings").isNull()).as("those of its volume").isTrue();
    assertThat(volumes.get(2).get("settings").toString())
        .isEqualTo("{\"description\":\"\",\"tls\":null,\"tls-allow\":[]}");
    assertThat(volumes.get(3).get("settings").toString())
        .isEqualTo("{\"description\":\"\"," + names);
    assertThat(Shell.ok(60, command("inspect", data().toString())))
        .containsPattern("\n  SETTINGS +TLS +TLS-ALLOW +DESCRIPTION\n")
        .containsPattern("\n  demo +allowed +CN=a,O=B +ledger, 2026\n +psk:c\n")
        .containsPattern("\n  copy +allowed +CN=a,O=B\n +psk:c$");
  }

  @Test
  void aFlippedBitInALiveBlockIsFoundAndOneInADeadBlockIsNot() throws Exception {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M");
    write(server, "demo", 0, 1);
    server.cli("volume", "snapshot", "create", "demo", "s1");
    write(server, "demo", 0, 2);
    write(server, "demo", 0, 3);
    server.kill();
    flipBit(placeOf(pattern(2, 5)) + 77);
    assertThat(inspect("--verify").get("problem").isNull()).as("nobody refers to it").isTrue();

    long place = placeOf(pattern(1, 17));
    flipBit(place + 1000);
    assertThat(inspect().get("problem").isNull()).as("not read unless asked for").isTrue();
    String message =
        "log-0 segment 0 offset " + place + " does not match its checksum (demo@s1 block 17)";
    Shell.Result result = Shell.run(60, command("inspect", data().toString(), "--verify"));
    assertThat(result.exitCode()).isEqualTo(1);
    assertThat(result.output()).contains("plinth: " + message).contains("demo@s1");
    Shell.Result json = Shell.run(60, command("inspect", data().toString(), "--verify", "--json"));
    assertThat(json.exitCode()).isEqualTo(1);
    assertThat(json.output())
        .contains("\"segment\" : 0", "\"offset\" : " + place, "\"message\" : \"" + message + "\"")
        .contains("{\"error\":{\"code\":\"broken\",\"message\":\"" + message + "\"}}");
  }

  @Test
  void aFlippedBitInTheCheckpointIsFoundWithoutBeingAskedFor() throws Exception {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M");
    write(server, "demo", 0, 1);
    assertThat(server.terminate()).isZero();
    JsonNode checkpoint = inspect("--verify").at("/logs/0/checkpoint");
    long root = checkpoint.get("offset").longValue();
    flipBit(root + 50);
    assertBroken(
        "log-0: the checkpoint at segment file 0 offset "
            + root
            + " can't be used: it does not match its checksum");
    flipBit(root + 50);
    // The page table was written before the description, and the pages before that.
    long table = root - BLOCK;
    flipBit(table + 1);
    assertBroken(
        "log-0: the checkpoint at segment file 0 offset "
            + root
            + " can't be used: the page table in segment file 0 offset "
            + table
            + " does not match its checksum");
    Files.delete(data().resolve("log-0/superblock"));
    assertThat(Shell.run(60, command("inspect", data().toString())).output())
        .contains(
            "plinth: log-0: the superblock is not one of Plinth's, though there are segments");
  }

  @Test
  void aFlippedBitInABatchHeaderIsFoundWhetherAStartReadsItOrNot() throws Exception {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M");
    write(server, "demo", 0, 1);
    assertThat(server.terminate()).isZero();
    server = servers.serve(data());
    write(server, "demo", 100, 2);
    server.kill();
    // From before the checkpoint: a start never looks there.
    long place = placeOf(pattern(1, 40));
    long old = headerOf(place);
    flipBit(old + 50);
    assertBroken(
        "log-0 segment 0 offset "
            + old
            + " is not the batch that must be here: demo block 40 lies behind it, at offset "
            + place);
    flipBit(old + 50);
    long replayed = headerOf(placeOf(pattern(2, 40)));
    flipBit(replayed + 50);
    assertBroken("in segment file 0 at offset " + replayed + " is damaged, though it was ");
  }

  @Test
  void anUnfinishedTailIsToldAndStays() throws Exception {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M");
    write(server, "demo", 0, 1);
    server.kill();
    long end = placeOf(pattern(1, BLOCKS - 1)) + BLOCK;
    byte[] garbage = new byte[3 * BLOCK];
    new SplittableRandom(7).nextBytes(garbage);
    overwrite(end, garbage);
    Map<Path, Object> before = state();
    JsonNode log = inspect("--verify").get("logs").get(0);
    assertThat(log.at("/recovery/cutBytes").longValue()).isEqualTo(3 * BLOCK);
    assertThat(log.at("/recovery/summary").stringValue())
        .contains("unfinished tail of 12288 bytes");
    assertThat(state()).isEqualTo(before);
  }

  @Test
  void whatIsNoDataDirectoryIsRefused() throws Exception {
    Files.createDirectories(data());
    assertFails(
        Shell.run(60, command("inspect", data().toString())),
        data() + " is no data directory: it has no plinth.lock");
    assertThat(data()).isEmptyDirectory();
    assertFails(
        Shell.run(60, command("inspect", data().resolve("none").toString())),
        "is no data directory");
  }

  /** Writes blocks of random content, each in a batch of its own. */
  private static void write(PlinthProcess server, String volume, int firstBlock, int seed)
      throws Exception {
    try (NbdClient client = NbdClient.connect(server.nbd(), volume)) {
      for (int i = 0; i < BLOCKS; i++) {
        assertThat(client.write((firstBlock + (long) i) * BLOCK, pattern(seed, i))).isZero();
      }
      assertThat(client.call(Nbd.FLUSH, 0, 0)).isZero();
    }
  }

  private static byte[] pattern(int seed, int number) {
    byte[] block = new byte[BLOCK];
    new SplittableRandom(seed * 1000L + number).nextBytes(block);
    return block;
  }

  private Path data() {
    return directory.resolve("data");
  }

  private JsonNode inspect(String... options) throws IOException {
    List<String> arguments = new ArrayList<>(List.of("inspect", data().toString(), "--json"));
    arguments.addAll(List.of(options));
    return JsonMapper.shared().readTree(Shell.ok(60, command(arguments.toArray(String[]::new))));
  }

  private static String[] command(String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "env",
                "PLINTH_NO_BUILD=1",
                PlinthProcess.root().resolve("scripts/plinth").toString()));
    command.addAll(List.of(arguments));
    return command.toArray(String[]::new);
  }

  private void assertBroken(String message) throws IOException {
    Shell.Result result = Shell.run(60, command("inspect", data().toString()));
    assertThat(result.output()).contains("\nlog-0, segments of 64 MiB").contains(message);
    assertThat(result.output().lines().filter(line -> line.startsWith("plinth: "))).hasSize(1);
    assertThat(result.exitCode()).isEqualTo(1);
  }

  private static void assertFails(Shell.Result result, String message) {
    assertThat(result.output().lines()).hasSize(1);
    assertThat(result.output()).startsWith("plinth: ").contains(message);
    assertThat(result.exitCode()).isEqualTo(1);
  }

  /** Returns what would show that a file was written to: its length, time and content. */
  private Map<Path, Object> state() throws IOException {
    Map<Path, Object> state = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(data())) {
      for (Path path : paths.toList()) {
        String checksum = Files.isDirectory(path) ? "" : checksum(path);
        state.put(path, Files.getLastModifiedTime(path) + " " + checksum);
      }
    }
    return state;
  }

  private static String checksum(Path file) throws IOException {
    CRC32C crc = new CRC32C();
    ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
    try (FileChannel channel = FileChannel.open(file)) {
      while (channel.read(buffer.clear()) >= 0) {
        crc.update(buffer.flip());
      }
      return String.format(Locale.ROOT, "%d bytes %08x", channel.size(), crc.getValue());
    }
  }

  private FileChannel segment() throws IOException {
    return FileChannel.open(
        data().resolve("log-0/segment-00000000"),
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }

  /** Returns where the one block of the first segment is that holds {@code content}. */
  private long placeOf(byte[] content) throws IOException {
    byte[] block = new byte[BLOCK];
    try (FileChannel file = segment()) {
      for (long at = 0; file.read(ByteBuffer.wrap(block), at) == BLOCK; at += BLOCK) {
        if (Arrays.equals(block, content)) {
          return at;
        }
      }
    }
    throw new AssertionError("the pattern is not in the first segment");
  }

  private long headerOf(long place) throws IOException {
    return LogBatches.with(data().resolve("log-0/segment-00000000"), place).header();
  }

  private void flipBit(long offset) throws IOException {
    ByteBuffer one = ByteBuffer.allocate(1);
    try (FileChannel file = segment()) {
      assertThat(file.read(one, offset)).isEqualTo(1);
    }
    overwrite(offset, new byte[] {(byte) (one.get(0) ^ 4)});
  }

  private void overwrite(long offset, byte[] bytes) throws IOException {
    try (FileChannel file = segment()) {
      assertThat(file.write(ByteBuffer.wrap(bytes), offset)).isEqualTo(bytes.length);
    }
  }

  private static List<String> strings(JsonNode list, String field) {
    return list.valueStream().map(node -> node.get(field).stringValue()).toList();
  }

  private static List<Long> longs(JsonNode list, String field) {
    return list.valueStream().map(node -> node.get(field).longValue()).toList();
  }

  private static long sum(JsonNode list, String field) {
    return longs(list, field).stream().mapToLong(Long::longValue).sum();
  }
}
