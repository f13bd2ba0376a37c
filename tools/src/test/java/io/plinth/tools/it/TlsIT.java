package io.plinth.tools.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.tools.nbd.Nbd;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** NBD over TLS, with the clients of libnbd and qemu, and with clients that mean no good. */
@Timeout(120)
class TlsIT {
  private static final int MIB = 1 << 20;
  private static final int HALF_OPEN = 50;
  private static final byte ALERT_RECORD = 21;

  @RegisterExtension static final Servers SERVERS = Servers.ofClass();

  @RegisterExtension final Servers ofTest = new Servers();

  @TempDir(factory = UnderTarget.class)
  static Path directory;

  private static TlsKeys keys;
  private static Path random;

  /** Certificates, required of clients too, and nothing in the clear. */
  private static PlinthProcess strict;

  /** Certificates, and clients do as they like unless a volume wants more. */
  private static PlinthProcess open;

  /** Pre-shared keys. */
  private static PlinthProcess psk;

  /** What {@link #open} has without clients. */
  private static int idleSockets;

  @BeforeAll
  static void serve() throws Exception {
    keys = new TlsKeys(directory.resolve("keys"));
    random = directory.resolve("random");
    writeRandom(random, 64);
    String certificates = keys.certificates("server").toString();
    strict =
        SERVERS.launch(
            directory.resolve("strict"),
            "--tls",
            "required",
            "--tls-certificates",
            certificates,
            "--volume",
            "demo=64M");
    open =
        SERVERS.launch(
            directory.resolve("open"),
            "--cores",
            "2",
            "--tls-certificates",
            certificates,
            "--tls-verify-clients",
            "optional",
            "--volume",
            "demo=64M",
            "--volume",
            "v1=8M",
            "--volume",
            "v2=8M",
            "--volume",
            "v3=8M");
    psk =
        SERVERS.launch(
            directory.resolve("psk"),
            "--tls",
            "required",
            "--tls-psk",
            keys.pskFile("alice").toString(),
            "--volume",
            "demo=64M");
    for (PlinthProcess server : List.of(strict, open, psk)) {
      server.readyLine();
    }
    idleSockets = sockets(open);
  }

  @AfterEach
  void noLogHasAStackTrace() {
    for (PlinthProcess server : List.of(strict, open, psk)) {
      assertThat(server.log()).doesNotContain("Exception", "\tat ", "[ERROR]");
    }
  }

  private static void writeRandom(Path file, int mebibytes) throws IOException {
    Random numbers = new Random(20260101);
    byte[] chunk = new byte[MIB];
    try (OutputStream out = Files.newOutputStream(file)) {
      for (int i = 0; i < mebibytes; i++) {
        numbers.nextBytes(chunk);
        out.write(chunk);
      }
    }
  }

  // Clients with certificates.

  private static String ok(List<String> before, String... command) throws IOException {
    Shell.Result result = Shell.run(60, TlsKeys.command(before, command));
    assertThat(result.exitCode())
        .as("exit code of %s: %s", List.of(command), result.output())
        .isZero();
    return result.output();
  }

  private static void assertRefused(Shell.Result result) {
    assertThat(result.exitCode()).as(result.output()).isNotIn(0, 124, 137);
    assertThat(result.output()).isNotBlank();
  }

  private static void copyInAndOut(String uri, String version, Path source) throws IOException {
    Path out = directory.resolve("out");
    List<String> only = keys.only(version);
    assertThat(ok(only, "nbdinfo", "--size", uri)).isEqualTo(Long.toString(64L * MIB));
    assertThat(ok(only, "nbdinfo", uri)).contains("protocol: newstyle-fixed with TLS");
    ok(only, "nbdcopy", "--flush", source.toString(), uri);
    ok(only, "nbdcopy", uri, out.toString());
    assertThat(Files.mismatch(source, out)).isEqualTo(-1);
  }

  /** The same, but for a few bytes, so that a copy that does nothing is seen. */
  private static Path changed(int change) throws IOException {
    Path file = directory.resolve("changed");
    byte[] content = Files.readAllBytes(random);
    content[change] ^= 1;
    content[content.length - 1 - change] ^= 1;
    return Files.write(file, content);
  }

  private static List<String> compare(List<String> credentials, Path file, PlinthProcess server)
      throws InterruptedException {
    List<String> command = new ArrayList<>(List.of("qemu-img", "compare"));
    command.addAll(credentials);
    command.add("driver=raw,file.driver=file,file.filename=" + file);
    command.add(TlsKeys.image(server, "demo"));
    return command;
  }

  @Test
  void withCertificatesDataGoInAndOutInBothVersions() throws Exception {
    for (String version : TlsKeys.VERSIONS) {
      Path source = changed(TlsKeys.VERSIONS.indexOf(version));
      copyInAndOut(keys.uri(strict, "demo", "good"), version, source);
      assertThat(ok(compare(keys.qemu("good", version), source, strict)))
          .contains("Images are identical");
    }
  }

  @Test
  void withPreSharedKeysDataGoInAndOutInBothVersions() throws Exception {
    for (String version : TlsKeys.VERSIONS) {
      Path source = changed(TlsKeys.VERSIONS.indexOf(version));
      copyInAndOut(keys.pskUri(psk, "demo", "alice", "alice"), version, source);
      assertThat(ok(compare(keys.qemuPsk("alice", "alice", version), source, psk)))
          .contains("Images are identical");
    }
  }

  private static List<String> linesAfter(PlinthProcess server, int before) {
    return server.log().lines().skip(before).toList();
  }

  private static int lineCount(PlinthProcess server) {
    return (int) server.log().lines().count();
  }

  /** One line for the person who wonders why; its writing is not awaited by the client. */
  private static void assertOneLine(PlinthProcess server, int before, String pattern) {
    long endNs = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (lineCount(server) == before && System.nanoTime() - endNs < 0) {
      Thread.onSpinWait();
    }
    assertThat(linesAfter(server, before))
        .singleElement()
        .asString()
        .matches(".*NBD client 127.0.0.1:[0-9]+ disconnected: TLS: " + pattern);
  }

  private void assertRefusedWithALine(PlinthProcess server, List<String> command, String pattern)
      throws Exception {
    int before = lineCount(server);
    assertRefused(Shell.run(20, command));
    assertOneLine(server, before, pattern);
  }

  @Test
  void olderVersionsAreRefused() throws Exception {
    assertRefusedWithALine(
        strict, compare(keys.qemu("good", TlsKeys.OLD_VERSION), random, strict), ".*TLSv?1.*");
    assertRefusedWithALine(
        psk,
        compare(keys.qemuPsk("alice", "alice", TlsKeys.OLD_VERSION), random, psk),
        "protocol_version");
  }

  @Test
  void aCertificateThatIsRequiredIsVerified() throws Exception {
    for (String version : TlsKeys.VERSIONS) {
      for (String client : List.of("bare", "impostor", "expired")) {
        String pattern =
            switch (client) {
              case "bare" -> ".*[Ee]mpty client certificate chain";
              case "impostor" -> ".*(does not chain|certification path|[Ss]ignature).*";
              default -> ".*NotAfter: .*";
            };
        List<String> info =
            TlsKeys.command(
                keys.only(version), "nbdinfo", "--size", keys.uri(strict, "demo", client));
        assertRefusedWithALine(strict, info, pattern);
        assertRefusedWithALine(
            strict, compare(keys.qemu(client, version), random, strict), pattern);
      }
      String good = keys.uri(strict, "demo", "good");
      assertThat(ok(keys.only(version), "nbdinfo", "--size", good)).isEqualTo("67108864");
    }
  }

  @Test
  void aCertificateThatIsOptionalIsVerifiedToo() throws Exception {
    for (String version : TlsKeys.VERSIONS) {
      List<String> only = keys.only(version);
      for (String client : List.of("bare", "good")) {
        String uri = keys.uri(open, "demo", client);
        assertThat(ok(only, "nbdinfo", "--size", uri)).isEqualTo("67108864");
      }
      for (String client : List.of("impostor", "expired")) {
        String uri = keys.uri(open, "demo", client);
        assertRefusedWithALine(open, TlsKeys.command(only, "nbdinfo", "--size", uri), ".+");
      }
    }
  }

  @Test
  void aWrongKeyAndAnUnknownIdentityAreRefused() throws Exception {
    for (String version : TlsKeys.VERSIONS) {
      for (String client : List.of("wrong", "mallory")) {
        String identity = client.equals("wrong") ? "alice" : client;
        String pattern = "the client's key is not one of ours, or .*";
        List<String> info =
            TlsKeys.command(
                keys.only(version),
                "nbdinfo",
                "--size",
                keys.pskUri(psk, "demo", identity, client));
        assertRefusedWithALine(psk, info, pattern);
        assertRefusedWithALine(
            psk, compare(keys.qemuPsk(identity, client, version), random, psk), pattern);
      }
    }
  }

  // Modes.

  private static Shell.Result info(String uri) throws IOException {
    return Shell.run(20, "nbdinfo", "--size", uri);
  }

  private static void assertServed(String uri) throws IOException {
    assertThat(Shell.ok(20, "nbdinfo", "--size", uri)).matches("[0-9]+");
  }

  @Test
  void whereTlsIsRequiredAPlainClientIsToldSo() throws Exception {
    for (PlinthProcess server : List.of(strict, psk)) {
      Shell.Result result = info(server.uri("demo"));
      assertRefused(result);
      assertThat(result.output()).contains("TLS");
      Shell.Result list = Shell.run(20, "nbdinfo", "--list", server.uri(""));
      assertRefused(list);
      assertThat(list.output()).doesNotContain("demo");
    }
  }

  @Test
  void volumesHaveTheirOwnModeWhichChangesWhileTheyAreServed() throws Exception {
    String plain = open.uri("v1");
    String secure = keys.uri(open, "v1", "good");
    assertServed(plain);
    assertServed(secure);
    assertThat(Shell.ok(20, "nbdinfo", "--list", open.uri(""))).contains("\"v1\"", "\"demo\"");

    open.cli("volume", "set", "v1", "--tls", "required");
    Shell.Result refused = info(plain);
    assertRefused(refused);
    assertThat(refused.output()).contains("TLS");
    assertServed(secure);
    assertThat(Shell.ok(20, "nbdinfo", "--list", open.uri("")))
        .contains("\"demo\"")
        .doesNotContain("\"v1\"");
    assertThat(Shell.ok(20, "nbdinfo", "--list", keys.uri(open, "", "bare")))
        .contains("\"demo\"", "\"v1\"");

    open.cli("volume", "set", "v1", "--tls", "off");
    assertServed(plain);
    assertRefused(info(secure));

    open.cli("volume", "set", "v1", "--unset", "tls", "--tls-allow", "cn=Backup, o=Example");
    assertRefused(info(plain));
    assertRefused(info(keys.uri(open, "v1", "bare")));
    assertRefused(info(keys.uri(open, "v1", "second")));
    assertServed(secure);
    assertThat(open.log()).contains("is not among those that may use v1");

    open.cli("volume", "set", "v1", "--unset", "tls-allow");
    assertServed(plain);
    assertServed(keys.uri(open, "v1", "second"));
  }

  @Test
  void aKeysIdentityMayBeAllowedToo() throws Exception {
    String uri = keys.pskUri(psk, "demo", "alice", "alice");
    psk.cli("volume", "set", "demo", "--tls-allow", "psk:bob");
    assertRefused(info(uri));
    psk.cli("volume", "set", "demo", "--tls-allow", "psk:bob", "--tls-allow", "psk:alice");
    for (String version : TlsKeys.VERSIONS) {
      assertThat(ok(keys.only(version), "nbdinfo", "--size", uri)).isEqualTo("67108864");
    }
    psk.cli("volume", "set", "demo", "--unset", "tls-allow");
  }

  @Test
  void volumesOfEveryCoreAreReadAndWritten() throws Exception {
    for (String volume : List.of("v2", "v3", "demo")) {
      String image = TlsKeys.image(open, volume);
      List<String> io = new ArrayList<>(List.of("qemu-io"));
      io.addAll(keys.qemu("good", "VERS-TLS1.3"));
      ok(io, "-c", "write -P 0x5c 4096 3M", "-c", "flush", "-c", "read -P 0x5c 4096 3M", image);
      ok(io, "-c", "read -P 0x5c 4096 3M", "-c", "write -z 4096 3M", image);
      ok(io, "-c", "read -P 0 0 4M", image);
    }
  }

  // Clients that mean no good.

  private static byte[] option(int option, byte[] data) {
    return ByteBuffer.allocate(16 + data.length)
        .putLong(Nbd.OPTION_MAGIC)
        .putInt(option)
        .putInt(data.length)
        .put(data)
        .array();
  }

  private static byte[] exportData(String name, int queries) {
    byte[] bytes = name.getBytes(UTF_8);
    return ByteBuffer.allocate(4 + bytes.length + (queries == 0 ? 2 : 4))
        .putInt(bytes.length)
        .put(bytes)
        .array();
  }

  /**
   * NBD-CONFORMANCE T4: what somebody puts in the clear behind a client's STARTTLS is taken neither
   * for options nor for what the client says under TLS.
   */
  @Test
  void whatFollowsStartTlsInTheClearIsNotLookedAt() throws Exception {
    byte[] write = ByteBuffer.allocate(28 + 512).putInt(Nbd.REQUEST_MAGIC).putInt(1).array();
    Arrays.fill(write, 28, write.length, (byte) 0x66);
    ByteBuffer.wrap(write).putInt(24, 512);
    for (byte[] behind :
        List.of(
            option(Nbd.OPT_SET_META_CONTEXT, exportData("v3", 1)),
            option(Nbd.OPT_LIST, new byte[0]),
            concat(option(Nbd.OPT_GO, exportData("v3", 0)), write))) {
      try (NbdClient client = NbdClient.connectForOptions(open.nbd())) {
        client.sendBytes(concat(option(Nbd.OPT_STARTTLS, new byte[0]), behind));
        assertThat(client.readOptionReply().type()).isEqualTo(Nbd.REP_ACK);
        byte[] rest = client.readToEnd();
        if (rest.length > 0) {
          assertThat(rest).startsWith(ALERT_RECORD, 3).hasSize(7);
        }
      }
    }
    assertThat(open.volume("v3").get("connections").intValue()).isZero();
    try (NbdClient reader = NbdClient.connect(open.nbd(), "v3")) {
      byte[] data = new byte[512];
      assertThat(reader.read(0, data, data.length)).isZero();
      Bytes.assertZero("v3", data);
    }
  }

  private static byte[] concat(byte[] first, byte[] second) {
    return ByteBuffer.allocate(first.length + second.length).put(first).put(second).array();
  }

  @Test
  void whatWasNegotiatedBeforeTlsDoesNotHoldAfterIt() throws Exception {
    NbdClient plain = NbdClient.connectForOptions(open.nbd());
    plain.sendOption(Nbd.OPT_STRUCTURED_REPLY, 0, new byte[0]);
    assertThat(plain.readOptionReply().type()).isEqualTo(Nbd.REP_ACK);
    byte[] meta =
        ByteBuffer.allocate(4 + 2 + 4 + 4 + 15)
            .putInt(2)
            .put("v2".getBytes(UTF_8))
            .putInt(1)
            .putInt(15)
            .put("base:allocation".getBytes(UTF_8))
            .array();
    try (NbdClient client = NbdClient.secure(plain, keys.anonymous())) {
      client.sendOption(Nbd.OPT_SET_META_CONTEXT, meta.length, meta);
      assertThat(client.readOptionReply().type()).isEqualTo(Nbd.ERR_INVALID);
      // Throws unless the replies are simple.
      client.go("v2");
      byte[] data = new byte[4096];
      assertThat(client.read(0, data, data.length)).isZero();
      assertThat(client.write(0, data)).isZero();
    }
    try (NbdClient client =
        NbdClient.secure(NbdClient.connectForOptions(open.nbd()), keys.anonymous())) {
      client.sendOption(Nbd.OPT_STRUCTURED_REPLY, 0, new byte[0]);
      assertThat(client.readOptionReply().type()).isEqualTo(Nbd.REP_ACK);
      client.sendOption(Nbd.OPT_SET_META_CONTEXT, meta.length, meta);
      assertThat(client.readOptionReply().type()).isEqualTo(4);
      assertThat(client.readOptionReply().type()).isEqualTo(Nbd.REP_ACK);
    }
  }

  /**
   * Some have sent nothing of a handshake, some half a record, some a record that leads nowhere.
   */
  @Test
  void handshakesThatStopAreEndedAndOthersAreServedMeanwhile() throws Exception {
    awaitSockets(idleSockets);
    List<NbdClient> halfOpen = new ArrayList<>();
    byte[][] beginnings = {{}, {22, 3, 1, 2, 0, 1, 0}, {22, 3, 1, 0, 4, 1, 0, 1, (byte) 0xfc}};
    for (int i = 0; i < HALF_OPEN; i++) {
      NbdClient client = NbdClient.connectForOptions(open.nbd());
      client.sendBytes(option(Nbd.OPT_STARTTLS, new byte[0]));
      assertThat(client.readOptionReply().type()).isEqualTo(Nbd.REP_ACK);
      client.sendBytes(beginnings[i % beginnings.length]);
      halfOpen.add(client);
    }
    awaitSockets(idleSockets + HALF_OPEN);
    assertServed(keys.uri(open, "demo", "good"));
    assertServed(open.uri("demo"));
    for (NbdClient client : halfOpen) {
      assertThat(client.readToEnd()).isEmpty();
      client.close();
    }
    awaitSockets(idleSockets);
    assertServed(keys.uri(open, "demo", "good"));
  }

  /** The last ones may be on their way out, or be left to the client to end. */
  private static void awaitSockets(int expected) throws IOException {
    long endNs = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (sockets(open) != expected && System.nanoTime() - endNs < 0) {
      Thread.onSpinWait();
    }
    assertThat(sockets(open)).as("sockets").isEqualTo(expected);
  }

  /** Returns how many sockets a server has open. */
  private static int sockets(PlinthProcess server) throws IOException {
    int count = 0;
    try (var descriptors = Files.newDirectoryStream(Path.of("/proc/" + server.pid() + "/fd"))) {
      for (Path descriptor : descriptors) {
        try {
          count += Files.readSymbolicLink(descriptor).toString().startsWith("socket:") ? 1 : 0;
        } catch (NoSuchFileException e) {
          // Closed since it was listed.
          assertThat(descriptor).isNotNull();
        }
      }
    }
    return count;
  }

  // The end.

  private PlinthProcess serveToKill() throws Exception {
    return ofTest.serve(
        directory.resolve("killed"),
        "--tls",
        "required",
        "--tls-certificates",
        keys.certificates("server").toString(),
        "--volume",
        "kept=8M",
        "--volume",
        "demo=256M");
  }

  @Test
  void aKillEndsTheClientAndKeepsWhatWasFlushed() throws Exception {
    PlinthProcess server = serveToKill();
    List<String> io = new ArrayList<>(List.of("qemu-io"));
    io.addAll(keys.qemu("good", "VERS-TLS1.3"));
    ok(io, "-c", "write -P 0x5a 0 4M", "-c", "flush", TlsKeys.image(server, "kept"));
    Path much = directory.resolve("much");
    writeRandom(much, 256);
    Process copy =
        Shell.start(
            60,
            List.of("nbdcopy", "--progress=1", much.toString(), keys.uri(server, "demo", "good")));
    try (BufferedReader progress = copy.inputReader()) {
      String line = progress.readLine();
      while (line != null && line.startsWith("0/")) {
        line = progress.readLine();
      }
      assertThat(line).as("progress").isNotNull().doesNotStartWith("100/");
      server.kill();
      CompletableFuture<Void> rest =
          CompletableFuture.runAsync(() -> assertThat(progress.lines().toList()).isNotEmpty());
      assertThat(copy.waitFor(30, TimeUnit.SECONDS)).as("ended").isTrue();
      assertThat(copy.exitValue()).isNotIn(0, 124, 137);
      rest.get(10, TimeUnit.SECONDS);
    }
    server = serveToKill();
    ok(io, "-c", "read -P 0x5a 0 4M", TlsKeys.image(server, "kept"));
    assertThat(server.terminate()).isZero();
  }

  @Test
  void certificatesThatCannotBeUsedAreOneLineAndNoServer() throws Exception {
    Path missing = directory.resolve("missing");
    PlinthProcess server =
        ofTest.launch(directory.resolve("never"), "--tls-certificates", missing.toString());
    assertThat(server.awaitExit()).isNotZero();
    assertThat(server.log())
        .contains("can't use " + missing.resolve("server-cert.pem") + ": there is no such file")
        .doesNotContain("\tat ");
    assertThatThrownBy(server::readyLine).isInstanceOf(AssertionError.class);
  }
}
