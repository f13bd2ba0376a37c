package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.plinth.target.admin.AdminBindException;
import io.plinth.target.admin.AdminOptions;
import io.plinth.target.admin.AdminServer;
import io.plinth.target.admin.HistoryInfo;
import io.plinth.target.admin.ScrubInfo;
import io.plinth.target.admin.VerifyInfo;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.TlsMode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class ClientCommandsTest {
  private final FakeNode node = new FakeNode();
  private AdminServer server;

  @BeforeEach
  void start() throws AdminBindException {
    server = AdminServer.start(node, AdminOptions.at("127.0.0.1", 0));
    node.add(
        new VolumeInfo(
            "demo",
            1,
            1L << 30,
            5L << 20,
            2,
            4,
            FlushPolicy.FLUSH,
            null,
            null,
            List.of(),
            0,
            1,
            0,
            null,
            null,
            null));
    node.add(
        new VolumeInfo(
            "a-longer-name",
            2,
            64L << 40,
            512L,
            0,
            0,
            FlushPolicy.ALWAYS,
            "mail, old server",
            TlsMode.REQUIRED,
            List.of("CN=backup,O=Example", "CN=caf\u00e9"),
            11,
            3,
            2,
            new HistoryInfo(1_795_500_000_000L, 17, 4711),
            null,
            null));
  }

  @AfterEach
  void stop() {
    server.close();
  }

  @Test
  void volumesAreListedInAlignedColumns() {
    Run run = run("volume", "list");
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .isEqualTo(
            """
            NAME             SIZE  MAPPED  SNAPSHOTS  CLIENTS  POLICY  CORE
            a-longer-name  64 TiB   512 B          0        0  always  11
            demo            1 GiB   5 MiB          2        4  flush   0
            """);
  }

  @Test
  void volumesAreListedAsJson() {
    JsonNode volumes = json("volume", "list").get("volumes");
    assertThat(volumes).hasSize(2);
    assertThat(volumes.get(1).get("mappedBytes").longValue()).isEqualTo(5L << 20);
    assertThat(volumes.get(0).get("flushPolicy").stringValue()).isEqualTo("always");
  }

  @Test
  void anEmptyListSaysHowToGoOn() {
    assertThat(run("volume", "delete", "demo", "--force").exitCode()).isZero();
    assertThat(run("volume", "delete", "a-longer-name").exitCode()).isZero();
    assertThat(run("volume", "list").out())
        .isEqualTo("no volumes; create one with 'plinth volume create NAME SIZE'\n");
    assertThat(json("volume", "list").get("volumes")).isEmpty();
    assertThat(run("stats").out()).isEqualTo("no volumes\n");
  }

  @Test
  void aVolumeIsShown() {
    assertThat(run("volume", "show", "demo").out())
        .isEqualTo(
            """
            name           demo
            id             1
            size           1 GiB (1073741824 bytes)
            mapped         5 MiB (5242880 bytes)
            unique         1 MiB (1048576 bytes)
            shared         4 MiB (4194304 bytes)
            snapshots      2
            clients        4
            flush policy   flush
            tls            as the server has it
            core           0
            epoch          1
            restorable     no: take a snapshot, or set log.retention
            corrupt reads  0
            """);
    assertThat(json("volume", "show", "demo").get("name").stringValue()).isEqualTo("demo");
  }

  @Test
  void aVolumeIsCreated() {
    Run run = run("volume", "create", "new", "1536M", "--flush-policy", "always");
    assertThat(run.out()).isEqualTo("created new, 1.5 GiB\n");
    assertThat(run.exitCode()).isZero();
    assertThat(json("volume", "show", "new").get("flushPolicy").stringValue()).isEqualTo("always");
    assertThat(json("volume", "create", "newer", "4K").get("sizeBytes").intValue()).isEqualTo(4096);
  }

  @Test
  void settingsOfAVolumeAreShown() {
    assertThat(run("volume", "show", "a-longer-name").out())
        .contains(
            """
            description    mail, old server
            """)
        .contains(
            """
            flush policy   always
            tls            required
            tls-allow      CN=backup,O=Example
                           CN=caf\u00e9
            core           11
            """);
    JsonNode shown = json("volume", "show", "a-longer-name");
    assertThat(shown.get("description").stringValue()).isEqualTo("mail, old server");
    assertThat(shown.get("tls").stringValue()).isEqualTo("required");
    assertThat(shown.at("/tls-allow/1").stringValue()).isEqualTo("CN=caf\u00e9");
    assertThat(json("volume", "show", "demo").get("tls").isNull()).isTrue();
  }

  @Test
  void settingsOfAVolumeAreChanged() {
    assertThat(
            run(
                "volume",
                "set",
                "demo",
                "--description",
                "mail \u00e9t\u00e9",
                "--tls",
                "required",
                "--tls-allow",
                "CN=backup,O=Example",
                "--tls-allow",
                "CN=b"))
        .isEqualTo(new Run(0, "changed description, tls, tls-allow of demo\n", ""));
    JsonNode shown = json("volume", "show", "demo");
    assertThat(shown.get("description").stringValue()).isEqualTo("mail \u00e9t\u00e9");
    assertThat(shown.get("tls").stringValue()).isEqualTo("required");
    assertThat(shown.at("/tls-allow/0").stringValue()).isEqualTo("CN=backup,O=Example");
    assertThat(shown.get("tls-allow")).hasSize(2);

    JsonNode changed =
        json(
            "volume",
            "set",
            "demo",
            "--tls",
            "off",
            "--unset",
            "tls-allow",
            "--unset",
            "description");
    assertThat(changed.get("tls").stringValue()).isEqualTo("off");
    assertThat(changed.get("tls-allow")).isEmpty();
    assertThat(changed.get("description").isNull()).isTrue();
    assertThat(run("volume", "set", "none", "--tls", "off"))
        .isEqualTo(new Run(1, "", "plinth: no volume 'none'\n"));
  }

  @Test
  void aVolumeIsCreatedWithSettings() {
    JsonNode created =
        json(
            "volume",
            "create",
            "n",
            "4K",
            "--description",
            "d",
            "--tls",
            "allowed",
            "--tls-allow",
            "CN=a");
    assertThat(created.get("description").stringValue()).isEqualTo("d");
    assertThat(created.get("tls").stringValue()).isEqualTo("allowed");
    assertThat(created.at("/tls-allow/0").stringValue()).isEqualTo("CN=a");
  }

  @Test
  void badValuesAreRefusedBeforeTheServerIsAsked() {
    assertFailure(
        run("volume", "set", "demo"),
        2,
        "plinth: nothing to set: give --description, --tls, --tls-allow or --unset");
    assertFailure(run("volume", "set", "demo", "--tls", "on"), 2, "plinth: bad TLS mode \"on\": ");
    assertFailure(
        run("volume", "set", "demo", "--tls-allow", "backup"),
        2,
        "plinth: bad name 1 in tls-allow: expected a distinguished name");
    assertFailure(
        run("volume", "set", "demo", "--unset", "size"),
        2,
        "plinth: unknown setting \"size\": expected description, tls, tls-allow");
    assertFailure(
        run("volume", "set", "demo", "--unset", "tls", "--tls", "off"),
        2,
        "plinth: --unset tls and --tls exclude each other");
    assertFailure(
        run("volume", "create", "a", "1G", "--description", "a\nb"),
        2,
        "plinth: bad description: it has a control character, U+000A");
    assertFailure(run("volume", "create", "a/b", "1G"), 2, "plinth: bad volume name \"a/b\": ");
    assertFailure(run("volume", "create", "a", "1X"), 2, "plinth: bad size \"1X\": ");
    assertFailure(run("volume", "create", "a", "100"), 2, "plinth: bad volume size 100: ");
    assertFailure(
        run("volume", "create", "a", "1G", "--flush-policy", "no"),
        2,
        "plinth: bad flush policy \"no\": ");
    assertFailure(run("volume", "clone", "demo@", "b"), 2, "plinth: bad snapshot name \"\": ");
    assertFailure(run("volume", "clone", "demo", "b@c"), 2, "plinth: bad volume name \"b@c\": ");
    assertFailure(
        run("volume", "clone", "demo", "b", "--flush-policy", "no"),
        2,
        "plinth: bad flush policy \"no\": ");
    assertFailure(
        run("volume", "snapshot", "create", "demo", "a/b"),
        2,
        "plinth: bad snapshot name \"a/b\": ");
    assertFailure(run("volume", "resize", "demo", "0"), 2, "plinth: bad volume size 0: ");
    assertFailure(
        Run.of("volume", "list", "--admin", "here"),
        2,
        "plinth: option --admin: bad address \"here\": ");
  }

  @Test
  void aRefusalOfTheServerEndsWithOne() {
    assertThat(run("volume", "create", "demo", "1G"))
        .isEqualTo(new Run(1, "", "plinth: volume 'demo' exists already\n"));
    assertThat(run("volume", "show", "none"))
        .isEqualTo(new Run(1, "", "plinth: no volume 'none'\n"));
    assertThat(run("volume", "delete", "demo"))
        .isEqualTo(new Run(1, "", "plinth: volume 'demo' has clients attached\n"));
    assertThat(run("stats", "none")).isEqualTo(new Run(1, "", "plinth: no volume 'none'\n"));
  }

  @Test
  void aStrangeNameCannotReachAnotherRoute() {
    assertFailure(run("volume", "show", "../node"), 1, "plinth: bad volume name \"../node\": ");
    assertFailure(
        run("volume", "delete", "demo?force=true"),
        1,
        "plinth: bad volume name \"demo?force=true\": ");
    assertFailure(
        run("volume", "snapshot", "delete", "demo", "s?force=true"),
        1,
        "plinth: bad snapshot name \"s?force=true\": ");
    assertFailure(
        run("volume", "snapshot", "delete", "demo/snapshots", "s"),
        1,
        "plinth: bad volume name \"demo/snapshots\": ");
  }

  @Test
  void aRefusalIsJsonWhenAskedFor() {
    Run run = run("volume", "show", "none", "--json");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.out()).isEmpty();
    JsonNode error = Json.parse(run.err()).get("error");
    assertThat(error.get("code").stringValue()).isEqualTo("not_found");
    assertThat(error.get("message").stringValue()).isEqualTo("no volume 'none'");
  }

  @Test
  void aVolumeIsDeleted() {
    assertThat(run("volume", "delete", "demo", "--force").out()).isEqualTo("deleted demo\n");
    assertThat(json("volume", "delete", "a-longer-name").get("deleted").stringValue())
        .isEqualTo("a-longer-name");
  }

  @Test
  void snapshotsAreTakenListedAndDeleted() {
    assertThat(run("volume", "snapshot", "list", "demo").out())
        .isEqualTo("volume demo has no snapshots\n");
    assertThat(run("volume", "snapshot", "create", "demo", "monday"))
        .isEqualTo(new Run(0, "took snapshot demo@monday\n", ""));
    assertThat(json("volume", "snapshot", "create", "demo", "s").get("createdMs").longValue())
        .isEqualTo(1_767_225_600_000L);
    assertThat(run("volume", "snapshot", "list", "demo").out())
        .isEqualTo(
            """
            NAME    CREATED                SIZE  MAPPED  UNIQUE  CLIENTS
            monday  2026-01-01T00:00:00Z  1 GiB   5 MiB   1 MiB        0
            s       2026-01-01T00:00:00Z  1 GiB   5 MiB   1 MiB        0
            """);
    assertThat(json("volume", "snapshot", "list", "demo").get("snapshots")).hasSize(2);
    assertThat(run("volume", "snapshot", "create", "demo", "s"))
        .isEqualTo(new Run(1, "", "plinth: snapshot 'demo@s' exists already\n"));
    assertThat(run("volume", "snapshot", "delete", "demo", "s"))
        .isEqualTo(new Run(1, "", "plinth: snapshot 'demo@s' has clients attached\n"));
    assertThat(run("volume", "snapshot", "delete", "demo", "s", "--force"))
        .isEqualTo(new Run(0, "deleted demo@s\n", ""));
    assertThat(
            json("volume", "snapshot", "delete", "demo", "monday", "--force")
                .get("deleted")
                .stringValue())
        .isEqualTo("demo@monday");
    assertThat(run("volume", "snapshot", "list", "none"))
        .isEqualTo(new Run(1, "", "plinth: no volume 'none'\n"));
  }

  @Test
  void aVolumeIsCloned() {
    assertThat(run("volume", "snapshot", "create", "a-longer-name", "s").exitCode()).isZero();
    assertThat(run("volume", "clone", "a-longer-name@s", "b"))
        .isEqualTo(new Run(0, "created b, 64 TiB, from a-longer-name@s\n", ""));
    assertThat(json("volume", "show", "b").get("flushPolicy").stringValue()).isEqualTo("always");
    assertThat(
            json("volume", "clone", "a-longer-name", "c", "--flush-policy", "flush")
                .get("flushPolicy")
                .stringValue())
        .isEqualTo("flush");
    assertThat(run("volume", "clone", "demo@none", "d"))
        .isEqualTo(new Run(1, "", "plinth: no volume 'demo@none'\n"));
  }

  @Test
  void aVolumeIsMadeOfWhatAnotherOneWas() {
    assertThat(run("volume", "show", "a-longer-name").out())
        .contains("restorable     since 2026-11-24T06:00:00Z, log position 17 of 4711");
    assertThat(run("volume", "restore-at", "demo", "4000", "b"))
        .isEqualTo(new Run(0, "created b, 1 GiB, as demo was at position 4000\n", ""));
    assertThat(run("volume", "restore-at", "demo", "2026-11-25T15:30:00.5+01:00", "c"))
        .isEqualTo(new Run(0, "created c, 1 GiB, as demo was at 2026-11-25T14:30:00.500Z\n", ""));
    assertThat(run("volume", "restore-at", "demo", "2h", "d", "--flush-policy", "always").out())
        .startsWith("created d, 1 GiB, as demo was at 2");
    assertThat(json("volume", "show", "d").get("flushPolicy").stringValue()).isEqualTo("always");
    assertThat(run("volume", "restore-at", "demo", "3", "e"))
        .isEqualTo(new Run(1, "", "plinth: the log goes back to position 17\n"));
    assertFailure(run("volume", "restore-at", "demo", "0", "e"), 2, "plinth: bad log position 0: ");
    assertFailure(
        run("volume", "restore-at", "demo", "yesterday", "e"),
        2,
        "plinth: bad time \"yesterday\": expected one such as 2026-11-25T14:30:00Z");
    assertFailure(
        run("volume", "restore-at", "demo", "2026-11-25T14:30:00", "e"), 2, "plinth: bad time ");
  }

  @Test
  void aVolumeIsResizedAndRolledBack() {
    assertThat(run("volume", "snapshot", "create", "demo", "s").exitCode()).isZero();
    assertThat(run("volume", "resize", "demo", "2G"))
        .isEqualTo(new Run(1, "", "plinth: volume 'demo' has clients attached\n"));
    assertThat(run("volume", "resize", "demo", "2G", "--force"))
        .isEqualTo(new Run(0, "resized demo to 2 GiB\n", ""));
    assertThat(json("volume", "resize", "demo", "3G").get("sizeBytes").longValue())
        .isEqualTo(3L << 30);
    assertThat(run("volume", "rollback", "demo", "s", "--force"))
        .isEqualTo(new Run(0, "rolled demo back to s, 1 GiB\n", ""));
    assertThat(json("volume", "rollback", "demo", "s").get("name").stringValue()).isEqualTo("demo");
  }

  @Test
  void whatHasChangedIsAskedForInPartsAndToldAsAWhole() {
    assertThat(run("volume", "snapshot", "create", "demo", "s").exitCode()).isZero();
    assertThat(run("volume", "diff", "demo", "s"))
        .isEqualTo(
            new Run(
                0,
                """
                        OFFSET          LENGTH  KIND
                    1073741824         2097152  data
                    1075838976         1048576  zero
                """,
                ""));
    JsonNode json = json("volume", "diff", "demo", "s");
    assertThat(json)
        .isEqualTo(
            Json.parse(
                """
                {"volume": "demo", "from": "s", "to": null, "sizeBytes": 70368744177664,
                 "extents": [{"offset": 1073741824, "length": 2097152, "kind": "data"},
                             {"offset": 1075838976, "length": 1048576, "kind": "zero"}]}
                """));
    assertThat(run("volume", "diff", "demo", "s", "s").out()).isEqualTo("nothing has changed\n");
    assertThat(json("volume", "diff", "demo", "s", "s").get("extents")).isEmpty();
    assertThat(run("volume", "diff", "demo", "none"))
        .isEqualTo(new Run(1, "", "plinth: no volume 'demo@none'\n"));
  }

  private static ScrubInfo scrub(int percent, long damagedBlocks, boolean complete) {
    boolean running = percent < 100 && complete;
    ScrubInfo.State state = running ? ScrubInfo.State.RUNNING : ScrubInfo.State.IDLE;
    long start = 1_767_225_600_000L;
    ScrubInfo.Pass pass =
        new ScrubInfo.Pass(
            start,
            running ? null : (Long) (start + 65_000),
            percent / 10,
            10,
            percent * 1024L,
            100 * 1024,
            percent,
            percent << 20,
            running ? 42_000L : null,
            damagedBlocks,
            complete && !running);
    ScrubInfo.LogScrub log =
        new ScrubInfo.LogScrub(
            0,
            state,
            16 << 20,
            3600,
            true,
            running ? pass : null,
            running ? null : pass,
            start + 3_600_000);
    ScrubInfo.Damage block =
        new ScrubInfo.Damage(
            0,
            3,
            40_960,
            1,
            "does not match its checksum",
            List.of(new ScrubInfo.Owner("demo", null, 17), new ScrubInfo.Owner("demo", "s", 17)),
            "");
    ScrubInfo.Damage page =
        new ScrubInfo.Damage(0, 12, 4096, 1, "can't be read", List.of(), "index page 7");
    List<ScrubInfo.Damage> all = List.of(block, page);
    return new ScrubInfo(
        state, List.of(log), all.subList(0, (int) Math.min(2, damagedBlocks)), 0, List.of());
  }

  private static VerifyInfo verify(
      VerifyInfo.State state, VerifyInfo.Replica third, VerifyInfo.Difference... differences) {
    List<VerifyInfo.Damage> damages =
        differences.length == 0 ? List.of() : List.of(new VerifyInfo.Damage(2, null, 40_960, 1));
    return new VerifyInfo(
        "demo",
        state,
        4711L,
        null,
        1L << 29,
        1L << 30,
        29,
        50L << 20,
        1_250,
        List.of(
            new VerifyInfo.Replica(1, true, null), new VerifyInfo.Replica(2, true, null), third),
        differences.length,
        List.of(differences),
        damages.size(),
        damages);
  }

  @Test
  void replicasThatAreEqualEndWithZeroAndAllElseWithOne() {
    VerifyInfo.Replica good = new VerifyInfo.Replica(3, true, null);
    node.answerVerifyWith(
        verify(VerifyInfo.State.RUNNING, good), verify(VerifyInfo.State.EQUAL, good));
    assertThat(run("volume", "verify", "demo"))
        .isEqualTo(
            new Run(
                0,
                """
                50%, 50 MiB read on each node
                equal: nodes 1, 2, 3; 29 ranges, 50 MiB, 1.3 s, as of entry 4711
                """,
                ""));
    node.answerVerifyWith(
        verify(
            VerifyInfo.State.DIFFERENT,
            good,
            new VerifyInfo.Difference("monday", 0, 1_835_008, List.of(3)),
            new VerifyInfo.Difference(null, 3_670_016, 1_835_008, List.of(1, 3))));
    assertThat(run("volume", "verify", "demo"))
        .isEqualTo(
            new Run(
                1,
                """
                different: 2 ranges, damaged blocks: 1; 29 ranges, 50 MiB, 1.3 s, as of entry 4711
                differs on node 3: demo@monday offset 0 length 1835008
                differs on node 1, 3: demo offset 3670016 length 1835008
                damaged on node 2: demo offset 40960, blocks: 1
                """,
                ""));
    node.answerVerifyWith(
        verify(
            VerifyInfo.State.INCOMPLETE, new VerifyInfo.Replica(3, false, "it does not answer")));
    assertThat(run("volume", "verify", "demo"))
        .isEqualTo(
            new Run(
                1,
                """
                not verified: 29 ranges, 50 MiB, 1.3 s, as of entry 4711; nodes that are equal: 1, 2
                node 3 is not verified: it does not answer
                """,
                ""));
    assertThat(Json.parse(run("volume", "verify", "demo", "--json").out()).get("nodes")).hasSize(3);
  }

  @Test
  void aVolumeWithOneReplicaIsNotCompared() {
    assertThat(run("volume", "verify", "demo"))
        .isEqualTo(new Run(1, "", "plinth: volume demo has one replica\n"));
  }

  @Test
  void whatWasMendedIsShown() {
    ScrubInfo scrub = scrub(100, 0, true);
    node.answerScrubWith(
        new ScrubInfo(
            scrub.state(),
            scrub.logs(),
            List.of(),
            1,
            List.of(new ScrubInfo.Mended(0, 3, 40_960, "demo", 17, 2))));
    assertThat(run("scrub", "status").out())
        .endsWith(
            """

            mended since the server started, blocks: 1
            LOG    SEGMENT  OFFSET  MENDED              WHERE
            log-0        3   40960  mended from node 2  demo block 17
            """);
  }

  @Test
  void aScrubIsShown() {
    node.answerScrubWith(scrub(100, 2, true));
    assertThat(run("scrub", "status"))
        .isEqualTo(
            new Run(
                0,
                """
                state       idle
                log-0 last  completed 2026-01-01T00:01:05Z after 1m 05s, 100 MiB read from the disk, damaged blocks: 2
                log-0 next  2026-01-01T01:00:00Z

                LOG    SEGMENT  OFFSET  DAMAGE                       WHERE
                log-0        3   40960  does not match its checksum  demo block 17, demo@s block 17
                log-0       12    4096  can't be read                index page 7
                """,
                ""));
    assertThat(json("scrub", "status").at("/damaged/0/owners/1/snapshot").stringValue())
        .isEqualTo("s");
    node.answerScrubWith(scrub(100, 0, true));
    assertThat(run("scrub", "stop").out())
        .endsWith(
            "100 MiB read from the disk, nothing damaged\nlog-0 next  2026-01-01T01:00:00Z\n");
  }

  @Test
  void waitingForAScrubShowsHowFarItIsAndEndsWithOneWhenAnythingIsDamaged() {
    node.answerScrubWith(
        scrub(30, 0, true), scrub(30, 0, true), scrub(70, 1, true), scrub(100, 1, true));
    Run run = run("scrub", "start", "--wait");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .startsWith(
            """
            log-0  30%, 3 of 10 segments, 30 MiB read from the disk, 42s left, nothing damaged
            log-0  70%, 7 of 10 segments, 70 MiB read from the disk, 42s left, damaged blocks: 1
            state       idle
            """)
        .contains("demo block 17, demo@s block 17");
    node.answerScrubWith(scrub(50, 0, true), scrub(100, 0, true));
    assertThat(json("scrub", "start", "--wait").get("state").stringValue()).isEqualTo("idle");
    node.answerScrubWith(scrub(50, 0, false));
    Run stopped = run("scrub", "status", "--wait");
    assertThat(stopped.exitCode()).isEqualTo(1);
    assertThat(stopped.err()).isEqualTo("plinth: no scrub has looked at everything\n");
  }

  @Test
  void statisticsAreAlignedAndLeaveOutWhatNeverHappened() {
    assertThat(run("stats").out())
        .isEqualTo(
            """
            a-longer-name: no operations since the server started

            demo
              OPERATION  COUNT  ERRORS   BYTES     P50      P90     P99   P99.9    MAX
              read           4       0  16 KiB  850 ns  12.3 us  1.0 ms  1.5 ms  4.0 s
            """);
    assertThat(run("stats", "demo").out()).startsWith("demo\n  OPERATION");
  }

  @Test
  void statisticsAsJsonLeaveOutNothing() {
    assertThat(json("stats").get("volumes")).hasSize(2);
    JsonNode operations = json("stats", "demo").get("operations");
    assertThat(operations).hasSize(2);
    assertThat(operations.get(0).get("p999Ns").longValue()).isEqualTo(1_500_000);
  }

  @Test
  void theStatusTellsWhereItListens() {
    assertThat(run("status").out())
        .isEqualTo(
            """
            state           running
            version         0.1.0
            node id         7f3a
            data directory  /srv/plinth
            process         4711
            cores           2
            up              1d 02h 03m
            nbd             127.0.0.1:10809
            nbd             unix:/run/plinth.sock
            log             1.5 GiB of 1 TiB
            log-0 segments  21 in use, 3 spare, 16360 available; 1 GiB live of 1.3 GiB; index 9 MiB
            log-0 index     30 MiB not in memory; pages dropped: 20000, read again: 12345, could not be read: 1
            log-0 appended  10 GiB for 8 GiB written by clients (1.25 times)
            log-0 cleaning  checkpoints: 5, segments cleaned: 7, blocks moved: 12345
            log-0 waits     for memory: 17, for segments: 2
            log-1 segments  1 in use, 1 spare, 16382 available; 8 KiB live of 64 MiB; index 4 KiB
            log-1 appended  4 KiB for 0 B written by clients
            log-1 cleaning  checkpoints: 0, segments cleaned: 0, blocks moved: 0
            log-1 waits     for memory: 0, for segments: 0
            recovery        clean: nothing to replay
            core 0          stalls over 10 ms: 0, longest cycle 850 us
            core 1          stalls over 10 ms: 2, longest cycle 40123 us
            """);
    JsonNode status = json("status");
    assertThat(status.get("state").stringValue()).isEqualTo("running");
    assertThat(status.at("/logs/0/movedBlocks").longValue()).isEqualTo(12_345);
    assertThat(status.at("/logs/1/segmentsAvailable").intValue()).isEqualTo(16_382);
    assertThat(status.at("/dutyCycles/1/stalls").longValue()).isEqualTo(2);
    assertThat(status.at("/dutyCycles/1/longestUs").longValue()).isEqualTo(40_123);
  }

  @Test
  void aServerThatIsNotThereEndsWithThree() throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    assertThat(Run.of("stats", "--admin", "127.0.0.1:" + port))
        .isEqualTo(
            new Run(
                3,
                "",
                "plinth: no server at 127.0.0.1:"
                    + port
                    + " (connection refused); start one with 'plinth serve', or name it with --admin\n"));
    assertFailure(
        Run.of("stats", "--admin", "no-such-host.invalid:1"),
        3,
        "plinth: no server at no-such-host.invalid:1 (no such host)");
  }

  @Test
  void somethingElseThatAnswersEndsWithThree() throws IOException {
    HttpServer other =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    other.createContext(
        "/",
        exchange -> {
          byte[] body = "<html>hello</html>".getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    other.start();
    try {
      String address = "127.0.0.1:" + other.getAddress().getPort();
      assertThat(Run.of("volume", "list", "--admin", address))
          .isEqualTo(
              new Run(
                  3, "", "plinth: what listens at " + address + " is not Plinth's admin API\n"));
    } finally {
      other.stop(0);
    }
  }

  private Run run(String... args) {
    String[] all = Arrays.copyOf(args, args.length + 2);
    all[args.length] = "--admin";
    all[args.length + 1] = server.address();
    return Run.of(all);
  }

  /** Runs a command with {@code --json}, which must succeed, and reads what it wrote. */
  private JsonNode json(String... args) {
    String[] all = Arrays.copyOf(args, args.length + 1);
    all[args.length] = "--json";
    Run run = run(all);
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    return Json.parse(run.out());
  }

  private static void assertFailure(Run run, int exitCode, String errStart) {
    assertThat(run.err()).startsWith(errStart);
    assertThat(run.err().lines()).hasSize(1);
    assertThat(run.out()).isEmpty();
    assertThat(run.exitCode()).isEqualTo(exitCode);
  }
}
