package io.plinth.tools.attach;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.plinth.tools.attach.AttachException.Kind;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class HandshakeTest {
  private static final String GREETING = "4e42444d41474943 49484156454f5054 0003";
  private static final String REPLY = "0003e889045565a9 00000007 ";
  private static final String EXPORT = REPLY + "00000003 0000000c 0000 0000000040000000 016d";
  private static final String ACK = REPLY + "00000001 00000000";

  /** Says what it was told to, whatever it hears. */
  private static final class ScriptedServer implements Handshake.Stream {
    private final ByteBuffer says;
    private final ByteArrayOutputStream heard = new ByteArrayOutputStream();

    ScriptedServer(String hex) {
      says = ByteBuffer.wrap(HexFormat.of().parseHex(hex.replaceAll("\\s", "")));
    }

    @Override
    public void send(byte[] bytes) throws IOException {
      heard.write(bytes);
    }

    @Override
    public void receive(byte[] bytes) throws IOException {
      if (says.remaining() < bytes.length) {
        throw new EOFException("the server closed the connection");
      }
      says.get(bytes);
    }
  }

  private static Export negotiate(String says) throws AttachException {
    return Handshake.run(new ScriptedServer(says), "h:1", "demo");
  }

  private static AttachException fail(String says) {
    return catchThrowableOfType(AttachException.class, () -> negotiate(says));
  }

  @Test
  void whatTheServerSaysIsTaken() throws AttachException {
    String name = REPLY + "00000003 00000006 0001 6d61696e";
    String blockSize = REPLY + "00000003 0000000e 0003 00001000 00001000 02000000";
    assertThat(negotiate(GREETING + EXPORT + name + blockSize + ACK))
        .isEqualTo(new Export("main", 1L << 30, 0x16d, 4096));
    assertThat(negotiate(GREETING + EXPORT + ACK))
        .isEqualTo(new Export("demo", 1L << 30, 0x16d, 512));
  }

  @Test
  void goIsAskedWithTheNameAndTwoInformations() throws AttachException {
    ScriptedServer server = new ScriptedServer(GREETING + EXPORT + ACK);
    Export _ = Handshake.run(server, "h:1", "demo");
    assertThat(HexFormat.of().formatHex(server.heard.toByteArray()))
        .isEqualTo(
            "00000003 49484156454f5054 00000007 0000000e 00000004 64656d6f 0002 0001 0003"
                .replace(" ", ""));
  }

  /** Nothing after the ACK is of the negotiation: the kernel reads it. */
  @Test
  void nothingIsReadBehindTheAcknowledgement() throws AttachException {
    ScriptedServer server = new ScriptedServer(GREETING + EXPORT + ACK + "67446698");
    Export _ = Handshake.run(server, "h:1", "demo");
    assertThat(server.says.remaining()).isEqualTo(4);
  }

  @ParameterizedTest
  @CsvSource({
    "80000006, NOT_FOUND, h:1 has no volume \"demo\": gone",
    "80000002, REFUSED, h:1: the server does not allow it: gone",
    "80000005, REFUSED, 'h:1: the server wants TLS, which the kernel can''t speak'",
    "80000007, UNREACHABLE, h:1: the server is shutting down",
    "80000001, REFUSED, h:1: the server answers error 1: gone"
  })
  void anErrorIsOneLine(String type, Kind kind, String message) {
    String text = HexFormat.of().formatHex("gone\n".getBytes(StandardCharsets.UTF_8));
    AttachException failure = fail(GREETING + REPLY + type + "00000005" + text);
    assertThat(failure).hasMessage(message);
    assertThat(failure.kind()).isEqualTo(kind);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "4e42444d41474943 0000420281861253 0000", // oldstyle
        "5353482d322e302d 4f70656e5353485f 392e", // another protocol
        "4e42444d41474943 49484156454f5054 0000", // newstyle that is not fixed
        GREETING + ACK, // no size
        GREETING + "1003e889045565a9 00000007 00000001 00000000", // bad magic
        GREETING + "0003e889045565a9 00000006 00000001 00000000", // another option's answer
        GREETING + REPLY + "00000003 7fffffff", // more than memory is given for
        GREETING + REPLY + "00000003 ffffffff",
        GREETING + REPLY + "00000003 00000004 0000 0000", // cut off
        GREETING
            + EXPORT
            + REPLY
            + "00000003 0000000e 0003 00010000 00010000 02000000"
            + ACK, // more than a page
      })
  void badServersAreRefused(String says) {
    AttachException failure = fail(says);
    assertThat(failure.kind()).isEqualTo(Kind.REFUSED);
    assertThat(failure.getMessage()).startsWith("h:1: ").doesNotContain("\n");
  }

  @Test
  void aServerThatNeverEndsItsAnswersIsRefused() {
    assertThat(fail(GREETING + (REPLY + "00000003 00000002 0007").repeat(100)).kind())
        .isEqualTo(Kind.REFUSED);
  }

  @Test
  void aConnectionThatEndsIsAServerThatCantBeReached() {
    String whole = GREETING + EXPORT + ACK;
    String digits = whole.replaceAll("\\s", "");
    for (int length = 0; length < digits.length(); length += 2) {
      AttachException failure = fail(digits.substring(0, length));
      assertThat(failure.kind()).isEqualTo(Kind.UNREACHABLE);
      assertThat(failure).hasMessage("h:1: the server closed the connection");
    }
  }
}
