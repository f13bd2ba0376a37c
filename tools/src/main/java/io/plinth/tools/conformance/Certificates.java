package io.plinth.tools.conformance;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Keys and certificates in libnbd's layout: {@code ca-cert.pem}, and for clients that have to show
 * one {@code client-cert.pem} and {@code client-key.pem}.
 */
final class Certificates {
  private static final char[] NO_PASSWORD = new char[0];

  private Certificates() {}

  static SSLContext context(NbdUri uri) throws IOException {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys(uri), trust(uri), null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new TlsFailedException("certificates: " + e.getMessage(), e);
    }
  }

  /** The server's name is checked too, unless the peer is not verified or has no name. */
  static void verification(NbdUri uri, SSLParameters parameters) {
    if (uri.verifyPeer() && !(uri.isUnix() && uri.hostName().isEmpty())) {
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
    }
  }

  private static KeyManager[] keys(NbdUri uri) throws IOException, GeneralSecurityException {
    Path directory = Path.of(uri.certificates());
    Path key = directory.resolve("client-key.pem");
    if (uri.certificates().isEmpty() || !Files.exists(key)) {
      return new KeyManager[0];
    }
    Collection<? extends Certificate> chain = read(directory.resolve("client-cert.pem"));
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, NO_PASSWORD);
    store.setKeyEntry("client", privateKey(key), NO_PASSWORD, chain.toArray(new Certificate[0]));
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, NO_PASSWORD);
    return factory.getKeyManagers();
  }

  private static TrustManager[] trust(NbdUri uri) throws IOException, GeneralSecurityException {
    if (!uri.verifyPeer()) {
      return new TrustManager[] {new TrustAll()};
    }
    if (uri.certificates().isEmpty()) {
      // What the Java machine trusts.
      return null;
    }
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, NO_PASSWORD);
    int number = 0;
    for (Certificate certificate : read(Path.of(uri.certificates(), "ca-cert.pem"))) {
      store.setCertificateEntry("ca" + number++, certificate);
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory.getTrustManagers();
  }

  private static Collection<? extends Certificate> read(Path file)
      throws IOException, GeneralSecurityException {
    try (InputStream in = Files.newInputStream(file)) {
      return CertificateFactory.getInstance("X.509").generateCertificates(in);
    } catch (java.nio.file.NoSuchFileException e) {
      throw new TlsFailedException("no file " + e.getFile(), e);
    }
  }

  private static PrivateKey privateKey(Path file) throws IOException, GeneralSecurityException {
    String text = Files.readString(file);
    String begin = "-----BEGIN PRIVATE KEY-----";
    int from = text.indexOf(begin);
    int to = text.indexOf("-----END PRIVATE KEY-----");
    if (from < 0 || to < from) {
      throw new TlsFailedException(
          file
              + " is not an unencrypted PKCS #8 key: convert it with 'openssl pkcs8 -topk8 -nodes'",
          null);
    }
    byte[] der = Base64.getMimeDecoder().decode(text.substring(from + begin.length(), to));
    PKCS8EncodedKeySpec specification = new PKCS8EncodedKeySpec(der);
    for (String algorithm : List.of("RSA", "EC", "EdDSA")) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(specification);
      } catch (InvalidKeySpecException _) {
        // Then it is of another kind.
      }
    }
    throw new TlsFailedException(file + " is neither an RSA nor an EC nor an EdDSA key", null);
  }

  /** For {@code tls-verify-peer=0}: the person who asks knows whom it is about. */
  private static final class TrustAll extends X509ExtendedTrustManager {
    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
