package io.plinth.target.main;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.security.TlsFiles;
import io.plinth.target.security.VerifyClients;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigLoaderTest {
  @TempDir Path directory;

  @Test
  void anEmptyFileGivesTheDefaults() throws Exception {
    ServerConfig config = load("");
    assertThat(config).isEqualTo(ServerConfig.builder().build());
    assertThat(config.dataDir()).isEqualTo(Path.of("plinth-data"));
    assertThat(config.nbd().listen()).containsExactly(new ListenAddress("127.0.0.1", 10_809));
    assertThat(config.nbd().unixPaths()).isEmpty();
    assertThat(config.nbd().defaultExport()).isEmpty();
    assertThat(config.adminListen()).isEqualTo(new ListenAddress("127.0.0.1", 10_810));
    assertThat(config.engine().flushPolicy()).isEqualTo(FlushPolicy.FLUSH);
    assertThat(config.cores()).isPositive();
    assertThat(config.volumes()).isEmpty();
  }

  @Test
  void everyKeyReachesItsPlace() throws Exception {
    ServerConfig config =
        load(
            """
            data-dir = "/srv/plinth"
            cores = 3

            [nbd]
            listen = ["0.0.0.0:1", "[::1]:2"]
            unix = ["/run/plinth.sock", "relative.sock"]
            default-export = "demo"
            max-connections = 7
            max-connections-per-volume = 3
            idle-timeout = "1h"
            resize = true
            tls = "required"
            tls-certificates = "certificates"
            tls-verify-clients = "optional"

            [admin]
            listen = "localhost:0"

            [[volume]]
            name = "demo"
            size = "1G"

            [[volume]]
            name = "small"
            size = 8192
            flush-policy = "flush"
            description = "for tests"
            tls = "required"
            tls-allow = ["CN=backup,O=Example", "CN=other"]

            [log]
            segment-size = "128M"
            capacity = "10GiB"
            resident-memory = "64M"
            index-memory = "48M"
            spare-segments = 3
            scrub-rate = "1M"
            scrub-interval = "12h"
            retention = "2d"

            [engine]
            spin-us = 0
            pin-cores = true
            flush-policy = "always"
            """);
    assertThat(config)
        .isEqualTo(
            new ServerConfig(
                Path.of("/srv/plinth"),
                3,
                new ServerConfig.Nbd(
                    List.of(new ListenAddress("0.0.0.0", 1), new ListenAddress("::1", 2)),
                    List.of(Path.of("/run/plinth.sock"), directory.resolve("relative.sock")),
                    List.of(),
                    Optional.of("demo"),
                    7,
                    3,
                    3600,
                    true,
                    new ServerConfig.Tls(
                        TlsMode.REQUIRED,
                        Optional.of(
                            new TlsFiles(
                                directory.resolve("certificates"), VerifyClients.OPTIONAL, null)))),
                new ListenAddress("localhost", 0),
                new ServerConfig.Log(
                    128L << 20, 10L << 30, 64L << 20, 48L << 20, 3, 1 << 20, 12 * 3600, 2 * 86_400),
                new ServerConfig.Engine(0, true, FlushPolicy.ALWAYS),
                List.of(
                    new VolumeSpec("demo", 1L << 30, FlushPolicy.ALWAYS, VolumeSettings.DEFAULT),
                    new VolumeSpec(
                        "small",
                        8192,
                        FlushPolicy.FLUSH,
                        new VolumeSettings(
                            "for tests",
                            Optional.of(TlsMode.REQUIRED),
                            List.of("CN=backup,O=Example", "CN=other")))),
                Optional.empty()));
  }

  private static final String MEMBERS =
      """
      [[cluster.member]]
      node = 2
      address = "10.0.0.2:10830"
      admin = "10.0.0.2:10810"

      [[cluster.member]]
      node = 1
      address = "[::1]:10830"
      admin = "10.0.0.1:10810"
      rack = "a"
      """;

  @Test
  void aClusterHasItsMembersInOrder() throws Exception {
    ServerConfig.Cluster cluster =
        load("[cluster]\nname = 'lab'\nnode = 2\n" + MEMBERS).cluster().orElseThrow();
    assertThat(cluster)
        .isEqualTo(
            new ServerConfig.Cluster(
                "lab",
                2,
                List.of(
                    new ClusterMap.Member(1, "::1", 10_830, "10.0.0.1:10810", "a"),
                    new ClusterMap.Member(2, "10.0.0.2", 10_830, "10.0.0.2:10810", "")),
                false,
                30,
                600));
    assertThat(cluster.members().get(0).address(3)).isEqualTo("[::1]:10833");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "node = 1 | a node of a cluster needs 'cluster.name', 'cluster.node' and 'cluster.member'",
        "name = 'a'; node = 1; rebuild-after = 20 | 'cluster.rebuild-after' is 20s, and a node counts as"
            + " unreachable only after 30s: set 'cluster.unreachable-after' to less",
        "name = 'a'; node = 1; unreachable-after = 0 | plinth.toml:4: bad value for"
            + " 'cluster.unreachable-after': expected 1s to 365d, not 0s",
        "name = 'a'; node = 3 | 'cluster.node' is 3, which is none of those in 'cluster.member'",
        "name = 'a b'; node = 1 | plinth.toml:2: bad value for 'cluster.name': expected letters, digits,"
            + " '.', '_' and '-', at most 63, not \"a b\""
      })
  void aClusterThatIsNoneIsRefused(String keys, String message) {
    String lines = keys.replace("; ", "\n");
    assertThatThrownBy(() -> load("[cluster]\n" + lines + "\n" + MEMBERS))
        .isInstanceOf(ConfigException.class)
        .hasMessage(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "node = 3 | 'node', 'address' or 'admin' is missing",
        "nod = 3 | unknown key 'nod'; did you mean 'node'?",
        "node = 0; address = 'a:1'; admin = 'a:2' | expected 1 to 65535, not 0",
        "node = 3; address = 'a:0'; admin = 'a:2' | 'address' needs a port that is not 0",
        "node = 3; address = 'a'; admin = 'a:2' | bad address \"a\": expected HOST:PORT, such as"
            + " 127.0.0.1:10809 or [::1]:10809"
      })
  void aMemberThatIsNoneIsNamed(String keys, String problem) {
    String lines = keys.replace("; ", "\n");
    assertThatThrownBy(() -> load("[[cluster.member]]\n" + lines + "\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "plinth.toml:1: bad value for 'cluster.member': the one of number 1: " + problem);
  }

  @Test
  void aNodeOfAClusterCreatesNoVolumes() {
    String cluster = "[cluster]\nname = 'lab'\nnode = 2\n" + MEMBERS;
    assertThatThrownBy(() -> load(cluster + "[[volume]]\nname = 'v'\nsize = '1G'\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("leave volume 'v' out");
    assertThatThrownBy(() -> load("log.retention = '1h'\n" + cluster))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("'log.retention' can't be given to a node of a cluster");
  }

  @Test
  void aRelativeDataDirectoryIsBesideTheFile() throws Exception {
    assertThat(load("data-dir = \"data\"").dataDir()).isEqualTo(directory.resolve("data"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "nbd.lisen = ['x'] | nbd.lisen | nbd.listen",
        "nbd.listne = ['x'] | nbd.listne | nbd.listen",
        "data_dir = 'x' | data_dir | data-dir",
        "datadir = 'x' | datadir | data-dir",
        "core = 1 | core | cores",
        "nbdd.listen = [] | nbdd | nbd",
        "log.segment-sice = 1 | log.segment-sice | log.segment-size",
        "engine.spinus = 1 | engine.spinus | engine.spin-us",
        "volumes = 1 | volumes | volume"
      })
  void anUnknownKeyIsNamedWithLineAndNearestKey(String line, String key, String nearest) {
    assertFault(
        "# comment\n\n" + line,
        "plinth.toml:3: unknown key '" + key + "'; did you mean '" + nearest + "'?");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "tls = 'on' | tls | bad TLS mode \"on\": expected \"off\", \"allowed\" or \"required\"",
        "tls = true | tls | expected a string, not true",
        "description = 7 | description | expected a string, not the number 7",
        "tls-allow = 'CN=a' | tls-allow | expected a list of strings, not the string \"CN=a\"",
        "tls-allow = ['CN=a', 'b'] | tls-allow | bad name 2 in tls-allow: expected a distinguished name"
            + " such as \"CN=backup,O=Example\" or psk:IDENTITY"
      })
  void aBadSettingOfAVolumeIsNamedWithItsLine(String line, String key, String problem) {
    assertFault(
        "[[volume]]\nname = 'a'\nsize = '1G'\n" + line,
        "plinth.toml:4: bad value for 'volume." + key + "': " + problem);
  }

  @Test
  void anUnknownKeyInATableIsNamedWithItsOwnLine() {
    assertFault(
        "cores = 1\n\n[nbd]\nmax-connections = 4\n\n\nlisen = []\n",
        "plinth.toml:7: unknown key 'nbd.lisen'; did you mean 'nbd.listen'?");
  }

  @Test
  void anUnknownKeyOfAVolumeIsNamed() {
    assertFault(
        "[[volume]]\nname = 'a'\nsice = '1G'\n",
        "plinth.toml:3: unknown key 'volume.sice'; did you mean 'volume.size'?");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "cores = 'two' | 'cores': expected a whole number, not the string \"two\"",
        "cores = 1.5 | 'cores': expected a whole number, not the number 1.5",
        "cores = 0 | 'cores': expected 1 to 256, not 0",
        "cores = 4294967297 | 'cores': expected 1 to 256, not 4294967297",
        "data-dir = 1 | 'data-dir': expected a string, not the number 1",
        "data-dir = '' | 'data-dir': expected a path, not an empty string",
        "nbd.listen = '127.0.0.1:1' | 'nbd.listen': expected a list of strings, not the string \"127.0.0.1:1\"",
        "nbd.listen = [1] | 'nbd.listen': expected a string, not the number 1",
        "nbd.listen = ['here'] | 'nbd.listen': bad address \"here\": expected HOST:PORT, such as 127.0.0.1:10809 or [::1]:10809",
        "nbd.max-connections = 0 | 'nbd.max-connections': expected 1 to 1000000, not 0",
        "nbd.tls = 'on' | 'nbd.tls': bad TLS mode \"on\": expected \"off\", \"allowed\" or \"required\"",
        "nbd.tls = true | 'nbd.tls': expected a string, not true",
        "nbd.tls-certificates = 1 | 'nbd.tls-certificates': expected a string, not the number 1",
        "nbd.tls-certificates = '' | 'nbd.tls-certificates': expected a path, not an empty string",
        "nbd.tls-verify-clients = 'on' | 'nbd.tls-verify-clients': expected \"off\", \"optional\" or \"required\", not \"on\"",
        "nbd.tls-verify-clients = true | 'nbd.tls-verify-clients': expected a string, not true",
        "nbd.tls-psk = ['x'] | 'nbd.tls-psk': expected a string, not a list",
        "nbd.default-export = 'a/b' | 'nbd.default-export': bad volume name \"a/b\": expected 1 to 63 letters, digits, '.', '_' or '-', starting with a letter or digit",
        "admin.listen = 5 | 'admin.listen': expected a string, not the number 5",
        "log.segment-size = '3M' | 'log.segment-size': expected a power of two from 64M to 1G, not 3M",
        "log.segment-size = '2G' | 'log.segment-size': expected a power of two from 64M to 1G, not 2G",
        "log.capacity = '1X' | 'log.capacity': bad size \"1X\": expected whole bytes with an optional unit K, M, G, T or P (powers of 1024), such as 512, 4K, 1G or 64GiB",
        "log.capacity = -1 | 'log.capacity': expected a size such as 4096 or \"1G\", not the number -1",
        "log.resident-memory = true | 'log.resident-memory': expected a size such as 4096 or \"1G\", not true",
        "log.index-memory = 'much' | 'log.index-memory': bad size \"much\": expected whole bytes with an optional unit K, M, G, T or P (powers of 1024), such as 512, 4K, 1G or 64GiB",
        "log.scrub-rate = '4K' | 'log.scrub-rate': expected 64K to 1T for each second, or 0 for none, not 4K",
        "log.scrub-rate = 'fast' | 'log.scrub-rate': bad size \"fast\": expected whole bytes with an optional unit K, M, G, T or P (powers of 1024), such as 512, 4K, 1G or 64GiB",
        "log.scrub-interval = '1w' | 'log.scrub-interval': expected seconds such as 3600 or a time such as \"12h\" or \"7d\", not the string \"1w\"",
        "log.scrub-interval = -1 | 'log.scrub-interval': expected seconds such as 3600 or a time such as \"12h\" or \"7d\", not the number -1",
        "log.scrub-interval = '30s' | 'log.scrub-interval': expected 1m to 365d, or 0 for only when asked, not 30s",
        "log.scrub-interval = '366d' | 'log.scrub-interval': expected 1m to 365d, or 0 for only when asked, not 31622400s",
        "log.retention = '5s' | 'log.retention': expected 10s to 365d, or 0 for none, not 5s",
        "log.retention = 'long' | 'log.retention': expected seconds such as 3600 or a time such as \"12h\" or \"7d\", not the string \"long\"",
        "engine.spin-us = -1 | 'engine.spin-us': expected 0 to 1000000, not -1",
        "engine.pin-cores = 1 | 'engine.pin-cores': expected true or false, not the number 1",
        "engine.flush-policy = 'never' | 'engine.flush-policy': bad flush policy \"never\": expected \"flush\" or \"always\"",
        "admin.listen.port = 1 | 'admin.listen': expected a string, not a table",
        "nbd = 1 | 'nbd': expected a table: write [nbd]",
      })
  void aBadValueIsNamedWithLineKeyAndWhatWasExpected(String line, String fault) {
    assertFault("\n" + line, "plinth.toml:2: bad value for " + fault);
  }

  @Test
  void aVolumeIsJudgedLikeEverywhere() {
    assertFault(
        "[[volume]]\nname = 'a'\nsize = 100\n",
        "plinth.toml:3: bad value for 'volume.size': bad volume size 100: expected a multiple of 512 bytes,"
            + " at least 4K and at most 64T");
    assertFault(
        "\n[[volume]]\nname = 'a'\n", "plinth.toml:2: bad value for 'volume.size': it is missing");
    assertFault("volume = 5", "plinth.toml:1: 'volume' is a list of tables: write [[volume]]");
  }

  @Test
  void twoVolumesOfOneNameAreRefused() {
    assertFault(
        "[[volume]]\nname = 'a'\nsize = '1G'\n[[volume]]\nname = 'a'\nsize = '2G'\n",
        "volume 'a' is given twice");
  }

  @Test
  void noPlaceToServeIsRefused() {
    assertFault(
        "nbd.listen = []",
        "nowhere to serve NBD: give an address in 'nbd.listen' or a path in 'nbd.unix'");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tls-psk = \"p\", tls-certificates = \"c\" | 'nbd.tls-certificates' and 'nbd.tls-psk' can't both be"
            + " given: a server has certificates or pre-shared keys",
        "tls-psk = \"p\", tls-verify-clients = \"off\" | 'nbd.tls-verify-clients' needs"
            + " 'nbd.tls-certificates'",
        "tls-verify-clients = \"required\" | 'nbd.tls-verify-clients' needs 'nbd.tls-certificates'",
        "tls = \"required\" | 'nbd.tls' is \"required\", for which 'nbd.tls-certificates' or 'nbd.tls-psk'"
            + " is missing",
        "tls = \"allowed\" | 'nbd.tls' is \"allowed\", for which 'nbd.tls-certificates' or 'nbd.tls-psk'"
            + " is missing",
      },
      quoteCharacter = '`')
  void keysOfTlsThatDoNotGoTogetherAreRefused(String keys, String fault) {
    assertFault("nbd = {" + keys + "}", fault);
  }

  @Test
  void withCertificatesOrKeysTlsIsAllowedUnlessSaidOtherwise() throws Exception {
    assertThat(load("").nbd().tls()).isEqualTo(new ServerConfig.Tls(TlsMode.OFF, Optional.empty()));
    assertThat(load("nbd.tls = 'off'").nbd().tls())
        .isEqualTo(new ServerConfig.Tls(TlsMode.OFF, Optional.empty()));
    assertThat(load("nbd.tls-psk = '/k.psk'").nbd().tls())
        .isEqualTo(
            new ServerConfig.Tls(
                TlsMode.ALLOWED, Optional.of(new TlsFiles(null, null, Path.of("/k.psk")))));
    assertThat(load("nbd.tls-certificates = 'c'\nnbd.tls = 'off'").nbd().tls())
        .isEqualTo(
            new ServerConfig.Tls(
                TlsMode.OFF, Optional.of(new TlsFiles(directory.resolve("c"), null, null))));
  }

  @Test
  void aLogSmallerThanEightSegmentsIsRefused() {
    assertFault(
        "log.capacity = '128M'", "bad value for 'log.capacity': expected 512M to 1P, not 128M");
  }

  @Test
  void anIndexThatRequestsWouldNotFindRoomInIsRefused() throws Exception {
    assertFault(
        "cores = 3\nlog.index-memory = '47M'",
        "bad value for 'log.index-memory': expected at least 16M for each core, which is 48M, or 0 for no"
            + " limit, not 47M");
    assertThat(load("log.index-memory = 0").log().indexMemoryBytes()).isZero();
  }

  @Test
  void brokenTomlIsNamedWithItsLine() {
    assertThatThrownBy(() -> load("cores = 1\nnbd = [\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageMatching("plinth\\.toml:[23]: [^\n]+");
    assertThatThrownBy(() -> load("cores = 1\ncores = 2\n"))
        .isInstanceOf(ConfigException.class)
        .hasMessageMatching("plinth\\.toml:2: [^\n]*cores[^\n]*");
  }

  @Test
  void aMissingFileIsNamed() {
    Path absent = directory.resolve("absent.toml");
    assertThatThrownBy(() -> ConfigLoader.load(absent))
        .isInstanceOf(ConfigException.class)
        .hasMessage("no such configuration file: " + absent);
  }

  @Test
  void aFileThatIsNotTextIsRefused() throws IOException {
    Path file = directory.resolve("plinth.toml");
    Files.write(file, new byte[] {(byte) 0xff, (byte) 0xfe});
    assertThatThrownBy(() -> ConfigLoader.load(file))
        .isInstanceOf(ConfigException.class)
        .hasMessageEndingWith("is not UTF-8 text");
  }

  private ServerConfig load(String text) throws ConfigException, IOException {
    Path file = directory.resolve("plinth.toml");
    Files.writeString(file, text);
    return ConfigLoader.load(file).build();
  }

  private void assertFault(String text, String message) {
    assertThatThrownBy(() -> load(text)).isInstanceOf(ConfigException.class).hasMessage(message);
  }
}
