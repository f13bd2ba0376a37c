package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.INFO_BLOCK_SIZE;
import static io.plinth.target.nbd.NbdProtocol.INFO_DESCRIPTION;
import static io.plinth.target.nbd.NbdProtocol.INFO_EXPORT;
import static io.plinth.target.nbd.NbdProtocol.INFO_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_ABORT;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXPORT_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_INFO;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_SET_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_STARTTLS;
import static io.plinth.target.nbd.NbdProtocol.OPT_STRUCTURED_REPLY;
import static io.plinth.target.nbd.NbdProtocol.REP_ACK;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_POLICY;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_SHUTDOWN;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TOO_BIG;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_UNKNOWN;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_UNSUP;
import static io.plinth.target.nbd.NbdProtocol.REP_INFO;
import static io.plinth.target.nbd.NbdProtocol.REP_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.REP_SERVER;
import static io.plinth.target.nbd.TestClient.contextData;
import static io.plinth.target.nbd.TestClient.exportInfo;
import static io.plinth.target.nbd.TestClient.infoData;
import static io.plinth.target.nbd.TestClient.information;
import static io.plinth.target.nbd.TestClient.optionBytes;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.nbd.TestClient.ExportInfo;
import io.plinth.target.nbd.TestClient.OptionReply;
import io.plinth.target.volume.VolumeSettings;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The handshake, rule by rule: names begin with the number of the rule in the conformance table.
 * "Text" is NetworkBlockDevice/nbd doc/proto.md.
 */
@ParameterizedClass
@EnumSource(Split.class)
class NegotiationTest {
  private static final int SIZE = 1 << 20;
  private static final int FLAGS_SIMPLE = 0x1 | 0x4 | 0x8 | 0x20 | 0x40 | 0x100 | 0x400 | 0x800;
  private static final int SEND_DF = 0x80;

  @Parameter Split split;

  private final TestServer server = new TestServer();
  private final MemoryVolume volume = server.volume("demo", 0, SIZE);

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private TestClient connect() {
    return server.connect(split);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  private static byte[] filled(int length, char c) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) c);
    return bytes;
  }

  // Greeting and client flags.

  @Test
  void H1_greetingOffersFixedNewstyleAndNoZeroesAndNothingElse() {
    TestClient client = connect();
    assertThat(client.greeting()).isEqualTo(3);
    client.expectQuiet();
  }

  @Test
  void H2_unknownClientFlagEndsTheConnection() {
    TestClient client = connect();
    client.greeting();
    client.flags(3 | 1 << 2).expectClosed();
  }

  @Test
  void H2_highestUnknownClientFlagEndsTheConnection() {
    TestClient client = connect();
    client.greeting();
    client.flags(0x80000003).expectClosed();
  }

  @Test
  void H3_withoutNoZeroesExportNameIsPadded() {
    TestClient client = connect().flags(1).option(OPT_EXPORT_NAME, bytes("demo"));
    client.greeting();
    ByteBuffer answer = ByteBuffer.wrap(client.data(134));
    assertThat(answer.getLong()).isEqualTo(SIZE);
    assertThat(answer.getShort() & 0xffff).isEqualTo(FLAGS_SIMPLE);
    assertThat(Arrays.copyOfRange(answer.array(), 10, 134)).containsOnly(0);
    client.expectQuiet();
  }

  @Test
  void H3_withNoZeroesExportNameIsNotPadded() {
    TestClient client = connect().flags(3).option(OPT_EXPORT_NAME, bytes("demo"));
    client.greeting();
    assertThat(ByteBuffer.wrap(client.data(10)).getLong()).isEqualTo(SIZE);
    client.expectQuiet();
  }

  @Test
  void H3_goIsNeverPadded() {
    TestClient client = connect().flags(1).option(OPT_GO, infoData("demo"));
    client.greeting();
    client.repliesUntilAck(OPT_GO);
    client.expectQuiet();
  }

  @Test
  void T6_clientWithoutFixedNewstyleMayUseExportName() {
    TestClient client = connect().flags(0).option(OPT_EXPORT_NAME, bytes("demo"));
    client.greeting();
    client.data(134);
    client.request(NbdProtocol.CMD_FLUSH, 0, 9, 0, 0).expectSimple(0, 9);
  }

  @Test
  void T6_clientWithoutFixedNewstyleMayUseNoOtherOption() {
    TestClient client = connect().flags(0).option(OPT_LIST);
    client.greeting();
    client.expectClosed();
  }

  // Options and the stream.

  @Test
  void H4_unknownOptionKeepsStreamInSync() {
    TestClient client = connect().greet();
    client.option(0x7fff_fff0, filled(100, 'x')).option(OPT_LIST);
    client.expectError(0x7fff_fff0, REP_ERR_UNSUP);
    assertThat(client.repliesUntilAck(OPT_LIST)).hasSize(1);
  }

  @Test
  void H4_withdrawnAndUnsupportedOptionsAreUnknown() {
    TestClient client = connect().greet();
    for (int option : new int[] {0, 4, 12, -1}) {
      client.option(option).expectError(option, REP_ERR_UNSUP);
    }
    client.expectQuiet();
  }

  @Test
  void H4_longUnknownOptionIsSkippedAndUnsupported() {
    TestClient client = connect().greet();
    client.option(77, filled(64 << 10, 'x')).option(OPT_STRUCTURED_REPLY);
    client.expectError(77, REP_ERR_UNSUP);
    client.expectAck(OPT_STRUCTURED_REPLY);
  }

  @Test
  void H5_pipelinedOptionsAreAnsweredOneByOneInOrder() {
    TestClient client = connect().greet();
    client.option(OPT_STRUCTURED_REPLY).option(OPT_INFO, infoData("demo")).option(99);
    client.option(OPT_LIST).option(OPT_ABORT);
    client.expectAck(OPT_STRUCTURED_REPLY);
    client.repliesUntilAck(OPT_INFO);
    client.expectError(99, REP_ERR_UNSUP);
    client.repliesUntilAck(OPT_LIST);
    client.expectAck(OPT_ABORT);
    client.expectClosed();
  }

  @Test
  void H5_optionWithBadMagicEndsTheSession() {
    byte[] option = optionBytes(OPT_LIST, new byte[0]);
    option[3] ^= 1;
    TestClient client = connect().greet().send(option);
    client.expectClosed();
    assertThat(server.contexts.get(0).counters().protocolViolations()).isEqualTo(1);
  }

  @Test
  void H11_longOptionIsSkippedAndTooBig() {
    TestClient client = connect().greet();
    client.option(OPT_GO, filled(40_000, 'x')).option(OPT_GO, infoData("demo"));
    client.expectError(OPT_GO, REP_ERR_TOO_BIG);
    assertThat(client.repliesUntilAck(OPT_GO)).isNotEmpty();
  }

  @Test
  void H11_hugeOptionIsTooBigAndEndsTheSession() {
    TestClient client = connect().greet();
    byte[] header = optionBytes(OPT_GO, new byte[0]);
    ByteBuffer.wrap(header).putInt(12, 0xffffffff);
    client.send(header).expectError(OPT_GO, REP_ERR_TOO_BIG);
    client.expectClosed();
  }

  @Test
  void H11_hugeExportNameEndsTheSession() {
    TestClient client = connect().greet();
    client.option(OPT_EXPORT_NAME, filled(40_000, 'x')).expectClosed();
  }

  @Test
  void slowNegotiationTimesOut() {
    TestClient client = connect().greet();
    server.advance(9_000_000_000L);
    client.option(OPT_STRUCTURED_REPLY).expectAck(OPT_STRUCTURED_REPLY);
    // Half an option, then silence: the time runs from the last whole one.
    client.send(Arrays.copyOf(optionBytes(OPT_LIST, new byte[0]), 15));
    server.advance(9_900_000_000L);
    client.expectQuiet();
    server.advance(100_000_000L);
    client.expectClosed();
    assertThat(server.contexts.get(0).counters().handshakeTimeouts()).isEqualTo(1);
    assertThat(server.cores.get(0).armedTimers()).isZero();
  }

  @Test
  void openSessionHasNoTimeLimit() {
    TestClient client = connect().openSimple("demo");
    assertThat(server.cores.get(0).armedTimers()).isZero();
    server.advance(3_600_000_000_000L);
    client.request(NbdProtocol.CMD_FLUSH, 0, 1, 0, 0).expectSimple(0, 1);
  }

  // ABORT, LIST, STARTTLS, STRUCTURED_REPLY.

  @Test
  void abortIsAcknowledgedAndEndsTheSession() {
    TestClient client = connect().greet().option(OPT_ABORT);
    client.expectAck(OPT_ABORT);
    client.expectClosed();
  }

  @Test
  void abortIgnoresData() {
    TestClient client = connect().greet().option(OPT_ABORT, bytes("bye"));
    client.expectAck(OPT_ABORT);
    client.expectClosed();
  }

  @Test
  void listNamesEveryExport() {
    server.volume("another", 1, SIZE);
    TestClient client = connect().greet().option(OPT_LIST);
    List<OptionReply> replies = client.repliesUntilAck(OPT_LIST);
    assertThat(replies).allMatch(reply -> reply.type() == REP_SERVER);
    assertThat(replies)
        .extracting(reply -> new String(reply.data(), 4, reply.data().length - 4, UTF_8))
        .containsExactly("another", "demo");
    assertThat(replies.get(0).buffer().getInt()).isEqualTo("another".length());
    client.expectQuiet();
  }

  /** Text: "the rest of the data is a human-readable description of the export". */
  @Test
  void listTellsDescriptionsBehindTheNames() {
    volume.settings = described("mail, old \u00e9t\u00e9");
    server.volume("plain", 1, SIZE);
    TestClient client = connect().greet().option(OPT_LIST);
    List<OptionReply> replies = client.repliesUntilAck(OPT_LIST);
    ByteBuffer data = replies.get(0).buffer();
    assertThat(data.getInt()).isEqualTo("demo".length());
    assertThat(UTF_8.decode(data).toString()).isEqualTo("demomail, old \u00e9t\u00e9");
    assertThat(replies.get(1).data()).hasSize(4 + "plain".length());
    client.expectQuiet();
  }

  @Test
  void descriptionIsToldWhenAskedForAndThere() {
    TestClient client = connect().greet();
    client.option(OPT_INFO, infoData("demo", INFO_DESCRIPTION));
    assertThat(client.repliesUntilAck(OPT_INFO)).noneMatch(NegotiationTest::isDescription);
    String longest = "\u00e9".repeat(512);
    volume.settings = described(longest);
    client.option(OPT_INFO, infoData("demo", INFO_NAME));
    assertThat(client.repliesUntilAck(OPT_INFO)).noneMatch(NegotiationTest::isDescription);
    for (int option : new int[] {OPT_INFO, OPT_GO}) {
      client.option(option, infoData("demo", INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE));
      List<OptionReply> replies = client.repliesUntilAck(option);
      assertThat(UTF_8.decode(information(replies, INFO_DESCRIPTION)).toString())
          .isEqualTo(longest);
    }
  }

  private static VolumeSettings described(String description) {
    return new VolumeSettings(description, Optional.empty(), List.of());
  }

  private static boolean isDescription(OptionReply reply) {
    return reply.type() == REP_INFO && reply.buffer().getShort() == INFO_DESCRIPTION;
  }

  @Test
  void listWithDataIsInvalid() {
    TestClient client = connect().greet().option(OPT_LIST, bytes("x"));
    client.expectError(OPT_LIST, REP_ERR_INVALID);
    client.expectQuiet();
  }

  @Test
  void listLongerThanTheOutputGoesOnWhenTheClientReads() {
    for (int i = 0; i < 3000; i++) {
      server.volume("volume-with-a-long-name-%05d".formatted(i), 0, 4096);
    }
    TestClient client = connect().greet();
    client.link().willRead = 1000;
    client.option(OPT_LIST).option(OPT_STRUCTURED_REPLY);
    server.run();
    assertThat(client.connection().isPaused()).isTrue();
    client.link().willRead = Long.MAX_VALUE;
    assertThat(client.repliesUntilAck(OPT_LIST)).hasSize(3001);
    client.expectAck(OPT_STRUCTURED_REPLY);
  }

  @Test
  void pipelinedOptionsWaitWhileTheClientDoesNotRead() {
    TestClient client = connect().greet();
    client.link().willRead = 0;
    for (int i = 0; i < 2000; i++) {
      client.option(OPT_INFO, infoData("demo"));
    }
    server.run();
    assertThat(client.connection().isPaused()).isTrue();
    client.link().willRead = Long.MAX_VALUE;
    for (int i = 0; i < 2000; i++) {
      client.repliesUntilAck(OPT_INFO);
    }
    client.expectQuiet();
  }

  @Test
  void T1_startTlsIsUnsupportedAndTheSessionGoesOn() {
    TestClient client = connect().greet().option(OPT_STARTTLS);
    client.expectError(OPT_STARTTLS, REP_ERR_UNSUP);
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  @Test
  void structuredReplyWithDataIsInvalidAndNotNegotiated() {
    TestClient client = connect().greet().option(OPT_STRUCTURED_REPLY, bytes("x"));
    client.expectError(OPT_STRUCTURED_REPLY, REP_ERR_INVALID);
    client.option(OPT_GO, infoData("demo"));
    assertThat(exportInfo(client.repliesUntilAck(OPT_GO)).flags() & SEND_DF).isZero();
  }

  // INFO and GO.

  @Test
  void H6_unknownExportIsAnErrorAndTheSessionGoesOn() {
    TestClient client = connect().greet();
    client.option(OPT_INFO, infoData("nope")).expectError(OPT_INFO, REP_ERR_UNKNOWN);
    client.option(OPT_GO, infoData("nope")).expectError(OPT_GO, REP_ERR_UNKNOWN);
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
    client.request(NbdProtocol.CMD_FLUSH, 0, 5, 0, 0).expectSimple(0, 5);
  }

  @Test
  void exportNameOfAnUnknownExportEndsTheSession() {
    connect().greet().option(OPT_EXPORT_NAME, bytes("nope")).expectClosed();
  }

  @Test
  void emptyNameStandsForTheDefaultExport() {
    TestClient client = connect().greet();
    client.option(OPT_INFO, infoData("", INFO_NAME));
    ByteBuffer name = information(client.repliesUntilAck(OPT_INFO), INFO_NAME);
    assertThat(UTF_8.decode(name).toString()).isEqualTo("demo");
    client.option(OPT_EXPORT_NAME);
    assertThat(ByteBuffer.wrap(client.data(10)).getLong()).isEqualTo(SIZE);
  }

  @Test
  void H7_exportInformationComesBeforeTheAck() {
    for (int option : new int[] {OPT_INFO, OPT_GO}) {
      TestClient client = connect().greet().option(option, infoData("demo"));
      assertThat(exportInfo(client.repliesUntilAck(option)))
          .isEqualTo(new ExportInfo(SIZE, FLAGS_SIMPLE));
    }
  }

  @Test
  void H7_unknownInformationRequestsAreIgnored() {
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("demo", 31, 32, 99, 0xffff, INFO_NAME, INFO_NAME));
    List<OptionReply> replies = client.repliesUntilAck(OPT_GO);
    assertThat(replies).allMatch(reply -> reply.type() == REP_INFO);
    assertThat(replies)
        .extracting(reply -> (int) reply.buffer().getShort())
        .containsExactlyInAnyOrder(INFO_EXPORT, INFO_NAME, INFO_BLOCK_SIZE);
  }

  @Test
  void H8_blockSizeIsToldAndNeverRequired() {
    for (int[] types : new int[][] {{}, {INFO_BLOCK_SIZE}}) {
      TestClient client = connect().greet().option(OPT_GO, infoData("demo", types));
      ByteBuffer sizes = information(client.repliesUntilAck(OPT_GO), INFO_BLOCK_SIZE);
      assertThat(sizes.getInt()).isEqualTo(512);
      assertThat(sizes.getInt()).isEqualTo(4096);
      assertThat(sizes.getInt()).isEqualTo(32 << 20);
      assertThat(sizes.remaining()).isZero();
    }
  }

  @Test
  void S1_blockSizesObeyTheText() {
    TestClient client = connect().greet().option(OPT_INFO, infoData("demo", INFO_BLOCK_SIZE));
    ByteBuffer sizes = information(client.repliesUntilAck(OPT_INFO), INFO_BLOCK_SIZE);
    int minimum = sizes.getInt();
    int preferred = sizes.getInt();
    int maximum = sizes.getInt();
    assertThat(Integer.bitCount(minimum)).isEqualTo(1);
    assertThat(minimum).isLessThanOrEqualTo(1 << 16);
    assertThat(Integer.bitCount(preferred)).isEqualTo(1);
    assertThat(preferred).isGreaterThanOrEqualTo(Math.max(minimum, 512));
    assertThat(maximum).isGreaterThanOrEqualTo(Math.max(preferred, 1 << 20));
    assertThat(maximum % minimum).isZero();
  }

  @Test
  void H9_goSaysTheSameAsInfo() {
    TestClient client = connect().greet().option(OPT_STRUCTURED_REPLY);
    client.expectAck(OPT_STRUCTURED_REPLY);
    byte[] data = infoData("demo", INFO_BLOCK_SIZE, INFO_NAME, 2);
    List<OptionReply> info = client.option(OPT_INFO, data).repliesUntilAck(OPT_INFO);
    List<OptionReply> go = client.option(OPT_GO, data).repliesUntilAck(OPT_GO);
    assertThat(go).hasSameSizeAs(info);
    for (int i = 0; i < go.size(); i++) {
      assertThat(go.get(i).data()).isEqualTo(info.get(i).data());
    }
  }

  @Test
  void dfIsOfferedExactlyWithStructuredReplies() {
    TestClient client = connect().greet().option(OPT_INFO, infoData("demo"));
    assertThat(exportInfo(client.repliesUntilAck(OPT_INFO)).flags()).isEqualTo(FLAGS_SIMPLE);
    client.option(OPT_STRUCTURED_REPLY).expectAck(OPT_STRUCTURED_REPLY);
    client.option(OPT_INFO, infoData("demo"));
    assertThat(exportInfo(client.repliesUntilAck(OPT_INFO)).flags())
        .isEqualTo(FLAGS_SIMPLE | SEND_DF);
  }

  @Test
  void readOnlyExportSaysSoAndOffersNoWritingCommands() {
    volume.readOnly = true;
    TestClient client = connect().greet().option(OPT_GO, infoData("demo"));
    assertThat(exportInfo(client.repliesUntilAck(OPT_GO)).flags())
        .isEqualTo(0x1 | 0x2 | 0x4 | 0x8 | 0x100 | 0x400);
  }

  @Test
  void malformedInfoIsInvalidAndTheSessionGoesOn() {
    TestClient client = connect().greet();
    List<byte[]> malformed = new ArrayList<>();
    for (int length = 0; length < 6; length++) {
      malformed.add(new byte[length]);
    }
    malformed.add(ByteBuffer.allocate(10).putInt(5).array());
    malformed.add(ByteBuffer.allocate(10).putInt(-1).array());
    malformed.add(Arrays.copyOf(infoData("demo", 1, 3), infoData("demo", 1, 3).length - 1));
    malformed.add(Arrays.copyOf(infoData("demo", 1), infoData("demo", 1).length + 1));
    for (byte[] data : malformed) {
      client.option(OPT_GO, data).expectError(OPT_GO, REP_ERR_INVALID);
      client.option(OPT_INFO, data).expectError(OPT_INFO, REP_ERR_INVALID);
    }
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  // Strings.

  @Test
  void H10_longestNameIsLookedUp() {
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("x".repeat(4096))).expectError(OPT_GO, REP_ERR_UNKNOWN);
  }

  @Test
  void H10_longerNameIsTooBig() {
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("x".repeat(4097))).expectError(OPT_GO, REP_ERR_TOO_BIG);
    client.option(OPT_STRUCTURED_REPLY).expectAck(OPT_STRUCTURED_REPLY);
    client
        .option(OPT_LIST_META_CONTEXT, contextData("x".repeat(4097)))
        .expectError(OPT_LIST_META_CONTEXT, REP_ERR_TOO_BIG);
    client
        .option(OPT_LIST_META_CONTEXT, contextData("demo", "base:" + "x".repeat(4092)))
        .expectError(OPT_LIST_META_CONTEXT, REP_ERR_TOO_BIG);
  }

  @Test
  void H10_nameWithNulIsInvalid() {
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("de\0mo")).expectError(OPT_GO, REP_ERR_INVALID);
    client.option(OPT_EXPORT_NAME, bytes("demo\0")).expectClosed();
  }

  @Test
  void H10_nameThatIsNotUtf8IsInvalid() {
    TestClient client = connect().greet();
    byte[] data = infoData("demo");
    data[5] = (byte) 0xff;
    client.option(OPT_GO, data).expectError(OPT_GO, REP_ERR_INVALID);
  }

  // Metadata contexts.

  @Test
  void contextsNeedStructuredReplies() {
    TestClient client = connect().greet();
    for (int option : new int[] {OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT}) {
      client.option(option, contextData("demo", "base:allocation"));
      client.expectError(option, REP_ERR_INVALID);
    }
  }

  private TestClient structured() {
    TestClient client = connect().greet().option(OPT_STRUCTURED_REPLY);
    client.expectAck(OPT_STRUCTURED_REPLY);
    return client;
  }

  private static void expectAllocation(TestClient client, int option, int id) {
    List<OptionReply> replies = client.repliesUntilAck(option);
    assertThat(replies).hasSize(1);
    assertThat(replies.get(0).type()).isEqualTo(REP_META_CONTEXT);
    ByteBuffer data = replies.get(0).buffer();
    assertThat(data.getInt()).isEqualTo(id);
    assertThat(UTF_8.decode(data).toString()).isEqualTo("base:allocation");
  }

  @Test
  void listContextsAnswersNoQueryWildcardAndExactName() {
    TestClient client = structured();
    for (String[] queries :
        new String[][] {{}, {"base:"}, {"base:allocation"}, {"base:", "base:allocation"}}) {
      client.option(OPT_LIST_META_CONTEXT, contextData("demo", queries));
      expectAllocation(client, OPT_LIST_META_CONTEXT, 0);
    }
  }

  @Test
  void listContextsIgnoresWhatIsUnknown() {
    TestClient client = structured();
    client.option(
        OPT_LIST_META_CONTEXT, contextData("demo", "qemu:", "base:nothing", "x-a:b", "base:alloc"));
    assertThat(client.repliesUntilAck(OPT_LIST_META_CONTEXT)).isEmpty();
  }

  @Test
  void setContextSelectsOnceHoweverOftenItIsNamed() {
    TestClient client = structured();
    client.option(
        OPT_SET_META_CONTEXT,
        contextData("demo", "qemu:dirty-bitmap:x", "base:allocation", "base:allocation"));
    expectAllocation(client, OPT_SET_META_CONTEXT, 1);
  }

  @Test
  void setContextTakesNeitherNoQueryNorTheWildcardForASelection() {
    TestClient client = structured();
    client.option(OPT_SET_META_CONTEXT, contextData("demo"));
    assertThat(client.repliesUntilAck(OPT_SET_META_CONTEXT)).isEmpty();
    client.option(OPT_SET_META_CONTEXT, contextData("demo", "base:"));
    assertThat(client.repliesUntilAck(OPT_SET_META_CONTEXT)).isEmpty();
  }

  @Test
  void contextOptionsOnAnUnknownExport() {
    TestClient client = structured();
    for (int option : new int[] {OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT}) {
      client.option(option, contextData("nope", "base:allocation"));
      client.expectError(option, REP_ERR_UNKNOWN);
    }
  }

  @Test
  void queryWithoutNamespaceIsInvalid() {
    TestClient client = structured();
    for (String query : new String[] {"", "allocation", ":allocation"}) {
      client.option(OPT_SET_META_CONTEXT, contextData("demo", "base:allocation", query));
      client.expectError(OPT_SET_META_CONTEXT, REP_ERR_INVALID);
    }
  }

  @Test
  void malformedContextQueriesAreInvalid() {
    TestClient client = structured();
    byte[] good = contextData("demo", "base:allocation");
    List<byte[]> malformed = new ArrayList<>();
    for (int length = 0; length < good.length; length++) {
      malformed.add(Arrays.copyOf(good, length));
    }
    malformed.add(Arrays.copyOf(good, good.length + 1));
    byte[] manyQueries = good.clone();
    ByteBuffer.wrap(manyQueries).putInt(8, -1);
    malformed.add(manyQueries);
    byte[] longQuery = good.clone();
    ByteBuffer.wrap(longQuery).putInt(12, 0x7fffffff);
    malformed.add(longQuery);
    byte[] longName = good.clone();
    ByteBuffer.wrap(longName).putInt(0, 0xfffffff0);
    malformed.add(longName);
    for (byte[] data : malformed) {
      client.option(OPT_SET_META_CONTEXT, data);
      client.expectError(OPT_SET_META_CONTEXT, REP_ERR_INVALID);
    }
    client.option(OPT_SET_META_CONTEXT, good);
    expectAllocation(client, OPT_SET_META_CONTEXT, 1);
  }

  // Moving to the core that owns the volume.

  @Test
  void goIsAnsweredOnTheCoreOfTheVolume() {
    server.volume("far", 1, SIZE);
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("far"));
    client.request(NbdProtocol.CMD_FLUSH, 0, 7, 0, 0);
    assertThat(exportInfo(client.repliesUntilAck(OPT_GO)).size()).isEqualTo(SIZE);
    client.expectSimple(0, 7);
    assertThat(client.connection().core().id()).isEqualTo(1);
    assertThat(server.contexts.get(0).sessionCount()).isZero();
    assertThat(server.contexts.get(1).sessionCount()).isEqualTo(1);
    assertThat(server.cores.get(0).armedTimers() + server.cores.get(1).armedTimers()).isZero();
  }

  @Test
  void exportNameIsAnsweredOnTheCoreOfTheVolume() {
    server.volume("far", 1, SIZE);
    TestClient client = connect().greet().option(OPT_EXPORT_NAME, bytes("far"));
    assertThat(ByteBuffer.wrap(client.data(10)).getLong()).isEqualTo(SIZE);
    assertThat(client.connection().core().id()).isEqualTo(1);
  }

  @Test
  void infoDoesNotMove() {
    server.volume("far", 1, SIZE);
    TestClient client = connect().greet().option(OPT_INFO, infoData("far"));
    client.repliesUntilAck(OPT_INFO);
    assertThat(client.connection().core().id()).isZero();
  }

  @Test
  void volumeThatVanishesDuringTheMoveIsUnknownAndTheSessionGoesOn() {
    MemoryVolume far = server.volume("far", 1, SIZE);
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("far"));
    // The move waits in the inbox of core 1 after this.
    while (server.contexts.get(0).sessionCount() > 0) {
      server.cores.get(0).cycle();
    }
    server.volumes.remove(far);
    client.expectError(OPT_GO, REP_ERR_UNKNOWN);
    client.option(OPT_GO, infoData("demo"));
    client.repliesUntilAck(OPT_GO);
    assertThat(client.connection().core().id()).isZero();
  }

  @Test
  void timeLimitMovesAlong() {
    MemoryVolume far = server.volume("far", 1, SIZE);
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("far"));
    while (server.contexts.get(0).sessionCount() > 0) {
      server.cores.get(0).cycle();
    }
    server.volumes.remove(far);
    client.expectError(OPT_GO, REP_ERR_UNKNOWN);
    server.advance(10_000_000_000L);
    client.expectClosed();
  }

  @Test
  void clientThatGoesAwayDuringTheMoveLeavesNothing() {
    server.volume("far", 1, SIZE);
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("far"));
    while (server.contexts.get(0).sessionCount() > 0) {
      server.cores.get(0).cycle();
    }
    server.cores.get(1).execute(client::hangUp);
    server.run();
    server.assertNothingHeld();
  }

  // Shutdown.

  @Test
  void E5_shutdownClosesIdleHandshakes() {
    TestClient client = connect().greet();
    boolean[] done = new boolean[1];
    server.acceptor.drain(server.cores.get(0), () -> done[0] = true);
    client.expectClosed();
    assertThat(done[0]).isTrue();
  }

  @Test
  void E5_optionDuringShutdownIsRefused() {
    TestClient client = connect().greet();
    byte[] option = optionBytes(OPT_GO, infoData("demo"));
    client.send(Arrays.copyOf(option, 20));
    server.run();
    server.acceptor.drain(server.cores.get(0), () -> {});
    client.expectQuiet();
    client.send(Arrays.copyOfRange(option, 20, option.length));
    client.expectError(OPT_GO, REP_ERR_SHUTDOWN);
    client.expectClosed();
  }

  @Test
  void E5_connectionThatArrivesOnACoreInShutdownIsRefused() {
    server.volume("far", 1, SIZE);
    server.acceptor.drain(server.cores.get(1), () -> {});
    TestClient client = connect().greet();
    client.option(OPT_GO, infoData("far"));
    client.expectError(OPT_GO, REP_ERR_SHUTDOWN);
    client.expectClosed();
  }

  @Test
  void E5_newConnectionDuringShutdownIsRefused() {
    server.acceptor.drain(server.cores.get(0), () -> {});
    connect().expectClosed();
    assertThat(server.contexts.get(0).counters().connectionsRefused()).isEqualTo(1);
  }

  // Limits.

  @Test
  void longListIsRefusedByPolicy() {
    for (int i = 0; i < 10_000; i++) {
      server.volumes.add(new MemoryVolume("v" + i, server.cores.get(0), 512));
    }
    TestClient client = connect().greet().option(OPT_LIST);
    client.expectError(OPT_LIST, REP_ERR_POLICY);
    client.expectQuiet();
  }

  @Test
  void acknowledgementIsTheOnlyReplyToStructuredReply() {
    TestClient client = structured();
    client.option(OPT_STRUCTURED_REPLY);
    assertThat(client.optionReply().type()).isEqualTo(REP_ACK);
    client.expectQuiet();
  }
}
