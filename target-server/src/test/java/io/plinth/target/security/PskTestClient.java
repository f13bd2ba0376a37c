package io.plinth.target.security;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.security.SecureRandom;
import java.util.Vector;
import org.bouncycastle.tls.AbstractTlsClient;
import org.bouncycastle.tls.AlertDescription;
import org.bouncycastle.tls.BasicTlsPSKExternal;
import org.bouncycastle.tls.BasicTlsPSKIdentity;
import org.bouncycastle.tls.CipherSuite;
import org.bouncycastle.tls.PSKTlsClient;
import org.bouncycastle.tls.ProtocolVersion;
import org.bouncycastle.tls.PskKeyExchangeMode;
import org.bouncycastle.tls.TlsAuthentication;
import org.bouncycastle.tls.TlsClientProtocol;
import org.bouncycastle.tls.TlsFatalAlertReceived;
import org.bouncycastle.tls.crypto.TlsCrypto;
import org.bouncycastle.tls.crypto.impl.jcajce.JcaTlsCryptoProvider;

/** A client of Bouncy Castle's that has a pre-shared key. */
final class PskTestClient implements Dialogue.Client {
  /** The library's own, but that it can be told to change its key. */
  private static final class Protocol extends TlsClientProtocol {
    void updateKey() throws IOException {
      send13KeyUpdate(true);
    }
  }

  private final Protocol protocol = new Protocol();
  private String complaint;

  private PskTestClient() {}

  static PskTestClient version12(String identity, byte[] key) throws IOException {
    return version12(
        identity, key, CipherSuite.TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384, ProtocolVersion.TLSv12);
  }

  static PskTestClient version12(String identity, byte[] key, int suite, ProtocolVersion version)
      throws IOException {
    PskTestClient client = new PskTestClient();
    client.protocol.connect(
        new PSKTlsClient(crypto(), new BasicTlsPSKIdentity(identity, key)) {
          @Override
          protected ProtocolVersion[] getSupportedVersions() {
            return version.only();
          }

          @Override
          protected int[] getSupportedCipherSuites() {
            return new int[] {suite};
          }
        });
    return client;
  }

  /** Returns one that offers several identities, all with that key. */
  static PskTestClient version13(byte[] key, String... identities) throws IOException {
    PskTestClient client = new PskTestClient();
    client.protocol.connect(new Client13(crypto(), key, identities));
    return client;
  }

  private static TlsCrypto crypto() {
    return new JcaTlsCryptoProvider().create(new SecureRandom());
  }

  private static final class Client13 extends AbstractTlsClient {
    private final byte[] key;
    private final String[] identities;

    Client13(TlsCrypto crypto, byte[] key, String... identities) {
      super(crypto);
      this.key = key;
      this.identities = identities;
    }

    @Override
    protected ProtocolVersion[] getSupportedVersions() {
      return ProtocolVersion.TLSv13.only();
    }

    @Override
    protected int[] getSupportedCipherSuites() {
      return new int[] {CipherSuite.TLS_AES_128_GCM_SHA256};
    }

    @Override
    @SuppressWarnings({"rawtypes", "unchecked", "JdkObsolete"})
    public Vector getExternalPSKs() {
      Vector all = new Vector();
      for (String identity : identities) {
        all.add(
            new BasicTlsPSKExternal(
                identity.getBytes(UTF_8), getCrypto().createSecret(key.clone())));
      }
      return all;
    }

    @Override
    public short[] getPskKeyExchangeModes() {
      return new short[] {PskKeyExchangeMode.psk_dhe_ke};
    }

    @Override
    public TlsAuthentication getAuthentication() {
      throw new AssertionError("the server has no certificate");
    }
  }

  /** Changes the key of what is sent, and asks the server to do the same. */
  void updateKey() throws IOException {
    protocol.updateKey();
  }

  @Override
  public void receive(byte[] records) {
    if (records.length == 0) {
      return;
    }
    try {
      protocol.offerInput(records);
    } catch (TlsFatalAlertReceived e) {
      complaint = AlertDescription.getName(e.getAlertDescription());
    } catch (IOException e) {
      complaint = complaint == null ? e.getMessage() : complaint;
    }
  }

  @Override
  public byte[] takeRecords() {
    byte[] bytes = new byte[protocol.getAvailableOutputBytes()];
    int _ = protocol.readOutput(bytes, 0, bytes.length);
    return bytes;
  }

  @Override
  public boolean isHandshaking() {
    return protocol.isHandshaking();
  }

  @Override
  public void send(byte[] plain) throws IOException {
    protocol.writeApplicationData(plain, 0, plain.length);
  }

  @Override
  public byte[] takePlain() {
    byte[] bytes = new byte[protocol.getAvailableInputBytes()];
    int _ = protocol.readInput(bytes, 0, bytes.length);
    return bytes;
  }

  @Override
  public void close() throws IOException {
    protocol.close();
  }

  @Override
  public boolean isInputClosed() {
    return protocol.isClosed();
  }

  @Override
  public String complaint() {
    return complaint;
  }
}
