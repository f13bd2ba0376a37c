package io.plinth.target.security;

import io.plinth.engine.api.TlsException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.Vector;
import org.bouncycastle.tls.AlertDescription;
import org.bouncycastle.tls.BasicTlsPSKExternal;
import org.bouncycastle.tls.BasicTlsPSKIdentity;
import org.bouncycastle.tls.CipherSuite;
import org.bouncycastle.tls.PSKTlsClient;
import org.bouncycastle.tls.ProtocolVersion;
import org.bouncycastle.tls.PskKeyExchangeMode;
import org.bouncycastle.tls.TlsClientProtocol;
import org.bouncycastle.tls.TlsFatalAlert;
import org.bouncycastle.tls.TlsFatalAlertReceived;
import org.bouncycastle.tls.crypto.TlsCrypto;
import org.bouncycastle.tls.crypto.impl.jcajce.JcaTlsCryptoProvider;

/**
 * A client's end of TLS with a pre-shared key, over bytes that somebody else carries: for tools
 * that look at servers of any make.
 */
public final class PskClientEngine {
  /** Those that {@link PskEngine} has too, and what GnuTLS offers besides. */
  private static final int[] SUITES = {
    CipherSuite.TLS_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
    CipherSuite.TLS_DHE_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_DHE_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_PSK_WITH_AES_256_GCM_SHA384,
  };

  private final TlsClientProtocol protocol = new TlsClientProtocol();

  /**
   * Begins a session.
   *
   * @param file keys as {@code psktool} writes them
   * @param identity whose key it is
   * @param versions those that are offered, {@code TLSv1.2} and {@code TLSv1.3}; empty for both
   * @throws TlsFilesException when there is no such key; one line that names the file
   * @throws TlsException when the session can't begin
   */
  public PskClientEngine(Path file, String identity, List<String> versions)
      throws TlsFilesException, TlsException {
    byte[] key = PskFile.read(file).get(identity);
    if (key == null) {
      throw new TlsFilesException("can't use " + file + ": it has no key of " + identity, null);
    }
    try {
      protocol.connect(new Client(identity, key, versions));
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** Returns whether the handshake is not over. */
  public boolean isHandshaking() {
    return protocol.isHandshaking();
  }

  /** Returns whether the server has said that nothing follows, or the session has failed. */
  public boolean isInputClosed() {
    return protocol.isClosed();
  }

  /**
   * Takes bytes from the server, records in whole or in parts; all of them are consumed.
   *
   * @throws TlsException when they are not acceptable; an alert is then in {@link #takeRecords}
   */
  public void receive(ByteBuffer records) throws TlsException {
    byte[] bytes = new byte[records.remaining()];
    records.get(bytes);
    try {
      protocol.offerInput(bytes);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** Returns what is to be sent, perhaps nothing. */
  public ByteBuffer takeRecords() {
    byte[] bytes = new byte[protocol.getAvailableOutputBytes()];
    int _ = protocol.readOutput(bytes, 0, bytes.length);
    return ByteBuffer.wrap(bytes);
  }

  /** Encrypts plaintext, all of it, into {@link #takeRecords}. */
  public void send(ByteBuffer plain) throws TlsException {
    byte[] bytes = new byte[plain.remaining()];
    plain.get(bytes);
    try {
      protocol.writeApplicationData(bytes, 0, bytes.length);
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** Puts decrypted bytes into a buffer, as many as there are and fit; returns how many. */
  public int takePlain(ByteBuffer into) {
    int count = Math.min(into.remaining(), protocol.getAvailableInputBytes());
    protocol.readInput(into, count);
    return count;
  }

  private static TlsException failure(IOException e) {
    return new TlsException(
        switch (e) {
          case TlsFatalAlertReceived alert ->
              "the server says " + AlertDescription.getName(alert.getAlertDescription());
          case TlsFatalAlert alert -> AlertDescription.getName(alert.getAlertDescription());
          default -> String.valueOf(e.getMessage());
        },
        e);
  }

  private static final class Client extends PSKTlsClient {
    private final byte[] identity;
    private final byte[] key;
    private final List<String> versions;

    Client(String identity, byte[] key, List<String> versions) {
      super(crypto(), new BasicTlsPSKIdentity(identity, key));
      this.identity = identity.getBytes(StandardCharsets.UTF_8);
      this.key = key;
      this.versions = versions;
    }

    private static TlsCrypto crypto() {
      return new JcaTlsCryptoProvider().create(new SecureRandom());
    }

    private boolean offers(String version) {
      return versions.isEmpty() || versions.contains(version);
    }

    @Override
    protected ProtocolVersion[] getSupportedVersions() {
      if (!offers("TLSv1.3")) {
        return ProtocolVersion.TLSv12.only();
      }
      return offers("TLSv1.2")
          ? ProtocolVersion.TLSv13.downTo(ProtocolVersion.TLSv12)
          : ProtocolVersion.TLSv13.only();
    }

    @Override
    protected int[] getSupportedCipherSuites() {
      return SUITES.clone();
    }

    @Override
    @SuppressWarnings({"rawtypes", "unchecked", "JdkObsolete"})
    public Vector getExternalPSKs() {
      Vector all = new Vector();
      all.add(new BasicTlsPSKExternal(identity, getCrypto().createSecret(key.clone())));
      return all;
    }

    @Override
    public short[] getPskKeyExchangeModes() {
      return new short[] {PskKeyExchangeMode.psk_dhe_ke};
    }
  }
}
