package io.plinth.target.security;

import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.Principal;
import java.util.Hashtable;
import java.util.Map;
import java.util.Vector;
import org.bouncycastle.tls.AlertDescription;
import org.bouncycastle.tls.BasicTlsPSKExternal;
import org.bouncycastle.tls.CipherSuite;
import org.bouncycastle.tls.PSKTlsServer;
import org.bouncycastle.tls.ProtocolVersion;
import org.bouncycastle.tls.PskIdentity;
import org.bouncycastle.tls.SecurityParameters;
import org.bouncycastle.tls.TlsCredentials;
import org.bouncycastle.tls.TlsFatalAlert;
import org.bouncycastle.tls.TlsFatalAlertReceived;
import org.bouncycastle.tls.TlsPSKExternal;
import org.bouncycastle.tls.TlsPSKIdentityManager;
import org.bouncycastle.tls.TlsServerProtocol;
import org.bouncycastle.tls.crypto.TlsCrypto;

/**
 * TLS 1.3 and 1.2 with pre-shared keys, which the Java runtime lacks. Only suites with an ephemeral
 * key exchange are offered, so that a key that leaks later does not open what was recorded.
 */
final class PskEngine implements TlsEngine {
  /** The hash of the keys' binders is SHA-256, which is what suites of TLS 1.3 must fit. */
  private static final int[] SUITES = {
    CipherSuite.TLS_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_DHE_PSK_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_DHE_PSK_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
  };

  private final TlsServerProtocol protocol = new TlsServerProtocol();
  private final Server server;
  private String failure;

  /**
   * Begins to wait for a client.
   *
   * @param keys by identity
   */
  PskEngine(TlsCrypto crypto, Map<String, byte[]> keys) throws TlsException {
    server = new Server(crypto, keys);
    try {
      protocol.accept(server);
    } catch (IOException e) {
      throw new TlsException(reason(e), e);
    }
  }

  @Override
  public boolean isHandshaking() {
    return protocol.isHandshaking();
  }

  @Override
  public void unwrap(ByteBuffer record, ByteBuffer plain) throws TlsException {
    int length = record.remaining();
    try {
      protocol.offerInput(record.array(), record.arrayOffset() + record.position(), length);
    } catch (IOException e) {
      throw new TlsException(reason(e), e);
    }
    record.position(record.limit());
    protocol.readInput(plain, protocol.getAvailableInputBytes());
  }

  @Override
  public void wrap(ByteBuffer plain, ByteBuffer record) throws TlsException {
    try {
      protocol.writeApplicationData(
          plain.array(), plain.arrayOffset() + plain.position(), plain.remaining());
    } catch (IOException e) {
      throw new TlsException(reason(e), e);
    }
    plain.position(plain.limit());
    output(record);
  }

  @Override
  public boolean hasOutput() {
    return protocol.getAvailableOutputBytes() > 0;
  }

  @Override
  public void output(ByteBuffer records) {
    protocol.readOutput(records, Math.min(records.remaining(), protocol.getAvailableOutputBytes()));
  }

  @Override
  public boolean isInputClosed() {
    return protocol.isClosed();
  }

  @Override
  public void closeOutput() {
    try {
      protocol.close();
    } catch (IOException e) {
      // It writes to memory only; a session that failed before has said so already.
      failure = reason(e);
    }
  }

  @Override
  public Principal peer() {
    return server.client;
  }

  @Override
  public String description() {
    return server.description + (failure == null ? "" : ", " + failure);
  }

  private static String reason(IOException e) {
    return switch (e) {
      case TlsFatalAlertReceived alert ->
          "the client says " + AlertDescription.getName(alert.getAlertDescription());
      case TlsFatalAlert alert ->
          alert.getAlertDescription() == AlertDescription.unknown_psk_identity
                  || alert.getAlertDescription() == AlertDescription.decrypt_error
                  || alert.getAlertDescription() == AlertDescription.bad_record_mac
              ? "the client's key is not one of ours, or its data was changed on the way ("
                  + AlertDescription.getName(alert.getAlertDescription())
                  + ")"
              : AlertDescription.getName(alert.getAlertDescription());
      case EOFException _ -> "a message is shorter than it should be";
      default -> String.valueOf(e.getMessage());
    };
  }

  /** What the library asks about our side. */
  private static final class Server extends PSKTlsServer {
    private final Map<String, byte[]> keys;
    private byte[] chosen;
    private Principal client;
    private String description = "no session";

    Server(TlsCrypto crypto, Map<String, byte[]> keys) {
      super(crypto, new Manager(keys));
      this.keys = keys;
    }

    @Override
    protected ProtocolVersion[] getSupportedVersions() {
      return ProtocolVersion.TLSv13.downTo(ProtocolVersion.TLSv12);
    }

    @Override
    protected int[] getSupportedCipherSuites() {
      return SUITES.clone();
    }

    @Override
    @SuppressWarnings("rawtypes")
    public TlsPSKExternal getExternalPSK(Vector identities) {
      for (Object offered : identities) {
        byte[] identity = ((PskIdentity) offered).getIdentity();
        byte[] key = keys.get(new String(identity, StandardCharsets.UTF_8));
        if (key != null) {
          chosen = identity;
          return new BasicTlsPSKExternal(identity, getCrypto().createSecret(key.clone()));
        }
      }
      return null;
    }

    /** In TLS 1.3 this means that no key was found for what the client offered. */
    @Override
    public TlsCredentials getCredentials() throws IOException {
      if (context.getServerVersion().equals(ProtocolVersion.TLSv13)) {
        throw new TlsFatalAlert(AlertDescription.unknown_psk_identity);
      }
      return super.getCredentials();
    }

    @Override
    @SuppressWarnings("rawtypes")
    public void processClientExtensions(Hashtable clientExtensions) throws IOException {
      super.processClientExtensions(clientExtensions);
      // Records shorter than ours, which few clients ask for, would not fit the output ring.
      maxFragmentLengthOffered = -1;
    }

    @Override
    public void notifyHandshakeComplete() throws IOException {
      super.notifyHandshakeComplete();
      SecurityParameters parameters = context.getSecurityParametersConnection();
      // Only TLS 1.2 puts it there.
      byte[] identity = chosen == null ? parameters.getPSKIdentity() : chosen;
      client = new PskClient(new String(identity, StandardCharsets.UTF_8));
      description =
          parameters.getNegotiatedVersion().getName()
              + " with suite 0x"
              + Integer.toHexString(parameters.getCipherSuite());
    }
  }

  /** Finds keys for TLS 1.2. */
  private record Manager(Map<String, byte[]> keys) implements TlsPSKIdentityManager {
    @Override
    public byte[] getHint() {
      return null;
    }

    @Override
    public byte[] getPSK(byte[] identity) {
      byte[] key = keys.get(new String(identity, StandardCharsets.UTF_8));
      return key == null ? null : key.clone();
    }
  }
}
