package io.plinth.target.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.TlsException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The tools' end of TLS with a pre-shared key, against the server's. */
@Timeout(60)
class PskClientEngineTest {
  private static final String HEX = "00112233445566778899aabbccddeeff";

  @TempDir Path directory;
  private Path file;
  private ServerTls tls;

  @BeforeEach
  void open() throws Exception {
    file = directory.resolve("keys.psk");
    Pki.writePrivate(file, "alice:" + HEX + "\nbob:" + "ff".repeat(32) + "\n");
    tls = ServerTls.open(new TlsFiles(null, null, file));
  }

  @AfterEach
  void close() {
    tls.close();
  }

  /** Hands records over in pieces, as a network may. */
  private record Client(PskClientEngine engine, StringBuilder complaints)
      implements Dialogue.Client {
    @Override
    public void receive(byte[] records) {
      int half = records.length / 2;
      try {
        engine.receive(ByteBuffer.wrap(records, 0, half));
        engine.receive(ByteBuffer.wrap(records, half, records.length - half));
      } catch (TlsException e) {
        complaints.append(e.getMessage());
      }
    }

    @Override
    public byte[] takeRecords() {
      ByteBuffer records = engine.takeRecords();
      byte[] bytes = new byte[records.remaining()];
      records.get(bytes);
      return bytes;
    }

    @Override
    public boolean isHandshaking() {
      return engine.isHandshaking();
    }

    @Override
    public void send(byte[] plain) throws IOException {
      try {
        engine.send(ByteBuffer.wrap(plain));
      } catch (TlsException e) {
        throw new IOException(e);
      }
    }

    @Override
    public byte[] takePlain() {
      ByteBuffer plain = ByteBuffer.allocate(1 << 20);
      byte[] bytes = new byte[engine.takePlain(plain)];
      plain.flip().get(bytes);
      return bytes;
    }

    @Override
    public void close() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isInputClosed() {
      return engine.isInputClosed();
    }

    @Override
    public String complaint() {
      return complaints.isEmpty() ? null : complaints.toString();
    }
  }

  private Dialogue dialogue(Path keys, String... versions) throws Exception {
    PskClientEngine engine = new PskClientEngine(keys, "alice", List.of(versions));
    return new Dialogue(tls.newSession(), new Client(engine, new StringBuilder()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void speaksTheVersionThatIsAskedFor(String version) throws Exception {
    Dialogue dialogue = dialogue(file, version);
    dialogue.run();
    dialogue.assertEcho();
    assertThat(dialogue.server.peer()).isEqualTo(new PskClient("alice"));
    assertThat(dialogue.server.description()).startsWith(version.replace("v", " "));
    byte[] much = new byte[200_000];
    new Random(4).nextBytes(much);
    dialogue.client.send(much);
    dialogue.run();
    assertThat(dialogue.takePlain()).isEqualTo(much);
    dialogue.serverSends(much);
    assertThat(dialogue.client.takePlain()).isEqualTo(much);
    dialogue.server.closeOutput();
    dialogue.run();
    assertThat(dialogue.client.isInputClosed()).isTrue();
  }

  @Test
  void offersTheNewestVersionFirst() throws Exception {
    Dialogue dialogue = dialogue(file);
    dialogue.run();
    dialogue.assertEcho();
    assertThat(dialogue.server.description()).startsWith("TLS 1.3 ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void tellsWhatTheServerSaysToAWrongKey(String version) throws Exception {
    Path wrong = directory.resolve("wrong.psk");
    Pki.writePrivate(wrong, "alice:" + "77".repeat(16) + "\n");
    Dialogue dialogue = dialogue(wrong, version);
    assertThatThrownBy(dialogue::run).isInstanceOf(TlsException.class);
    assertThat(dialogue.client.complaint())
        .isEqualTo(
            "the server says " + (version.equals("TLSv1.2") ? "bad_record_mac" : "decrypt_error"));
  }

  @Test
  void aKeyThatIsNotThereIsNamed() {
    assertThatThrownBy(() -> new PskClientEngine(file, "carol", List.of()))
        .isInstanceOf(TlsFilesException.class)
        .hasMessage("can't use " + file + ": it has no key of carol");
  }
}
