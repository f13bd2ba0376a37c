package io.plinth.target.security;

import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPrivateKey;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x9.X9ObjectIdentifiers;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.util.io.pem.PemObject;

/** Certificates, made for one test. */
final class Pki {
  private static final AtomicLong SERIAL = new AtomicLong(1);

  /** A certificate and its key. */
  record Identity(X509Certificate certificate, KeyPair keys) {
    PrivateKey key() {
      return keys.getPrivate();
    }

    /** Makes the certificate of somebody that this one answers for. */
    Identity issue(String name, KeyPair subject, boolean authority) throws Exception {
      return sign(name, subject, authority, this, Duration.ofDays(1));
    }

    /** The same, for one that was good until yesterday. */
    Identity issueExpired(String name) throws Exception {
      return sign(name, ec(), false, this, Duration.ofDays(-1));
    }
  }

  private Pki() {}

  static KeyPair ec() throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(256);
    return generator.generateKeyPair();
  }

  static KeyPair rsa() throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
    generator.initialize(2048);
    return generator.generateKeyPair();
  }

  static KeyPair ed25519() throws Exception {
    return KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
  }

  static Identity authority(String name) throws Exception {
    return sign(name, ec(), true, null, Duration.ofDays(1));
  }

  private static Identity sign(
      String name, KeyPair subject, boolean authority, Identity issuer, Duration left)
      throws Exception {
    X500Principal dn = new X500Principal(name);
    X500Principal by = issuer == null ? dn : issuer.certificate.getSubjectX500Principal();
    PrivateKey key = issuer == null ? subject.getPrivate() : issuer.key();
    Instant now = Instant.now();
    JcaX509v3CertificateBuilder builder =
        new JcaX509v3CertificateBuilder(
            by,
            BigInteger.valueOf(SERIAL.getAndIncrement()),
            Date.from(now.minus(Duration.ofDays(2))),
            Date.from(now.plus(left)),
            dn,
            subject.getPublic());
    builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(authority));
    String algorithm = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
    return new Identity(
        new JcaX509CertificateConverter()
            .getCertificate(builder.build(new JcaContentSignerBuilder(algorithm).build(key))),
        subject);
  }

  /** Returns PEM: certificates as they are, keys in the form that OpenSSL wrote before PKCS#8. */
  static String pem(Object... things) throws IOException {
    StringWriter text = new StringWriter();
    try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
      for (Object thing : things) {
        writer.writeObject(thing);
      }
    }
    return text.toString();
  }

  static String pkcs8(PrivateKey key) throws IOException {
    return pem(new JcaPKCS8Generator(key, null));
  }

  /** Writes what a server needs of its own. */
  static void writeServer(Path directory, Identity server, X509Certificate... chain)
      throws IOException {
    Files.writeString(
        directory.resolve("server-cert.pem"), pem(server.certificate()) + pem((Object[]) chain));
    writePrivate(directory.resolve("server-key.pem"), pkcs8(server.key()));
  }

  /** Writes what only its owner may read. */
  static void writePrivate(Path file, String text) throws IOException {
    Files.writeString(file, text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  /** Returns a key on P-256 in the form of RFC 5915, which names the curve. */
  static String sec1(ECPrivateKey key) throws IOException {
    return pem(
        new PemObject(
            "EC PRIVATE KEY",
            new org.bouncycastle.asn1.sec.ECPrivateKey(
                    256, key.getS(), X9ObjectIdentifiers.prime256v1)
                .getEncoded()));
  }

  /**
   * Makes what a client needs to connect.
   *
   * @param identity null for a client that has no certificate
   */
  static SSLContext client(X509Certificate trusted, Identity identity) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("ca", trusted);
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    KeyManager[] managers = {};
    if (identity != null) {
      KeyStore own = KeyStore.getInstance("PKCS12");
      own.load(null, null);
      own.setKeyEntry(
          "me", identity.key(), new char[0], new X509Certificate[] {identity.certificate()});
      KeyManagerFactory factory =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      factory.init(own, new char[0]);
      managers = factory.getKeyManagers();
    }
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(managers, trust.getTrustManagers(), null);
    return context;
  }
}
