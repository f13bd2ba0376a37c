package io.plinth.target.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.TlsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPrivateKey;
import java.util.List;
import java.util.Random;
import javax.net.ssl.SSLContext;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.x9.X9ObjectIdentifiers;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PKCS8Generator;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.openssl.jcajce.JceOpenSSLPKCS8EncryptorBuilder;
import org.bouncycastle.openssl.jcajce.JcePEMEncryptorBuilder;
import org.bouncycastle.util.io.pem.PemObject;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** TLS with certificates: what a server's files may be, and what clients get. */
@Timeout(60)
class ServerTlsTest {
  private static final List<String> BOTH = List.of("TLSv1.2", "TLSv1.3");

  @TempDir Path directory;
  private Pki.Identity authority;
  private Path certificateFile;
  private Path keyFile;
  private Path authorityFile;

  @BeforeEach
  void makeAuthority() throws Exception {
    authority = Pki.authority("CN=authority");
    certificateFile = directory.resolve("server-cert.pem");
    keyFile = directory.resolve("server-key.pem");
    authorityFile = directory.resolve("ca-cert.pem");
  }

  private Pki.Identity server(KeyPair keys) throws Exception {
    return authority.issue("CN=server", keys, false);
  }

  private void write(Pki.Identity server, String key) throws Exception {
    Files.writeString(certificateFile, Pki.pem(server.certificate()));
    Pki.writePrivate(keyFile, key);
  }

  private ServerTls open(VerifyClients verify) throws TlsFilesException {
    return ServerTls.open(new TlsFiles(directory, verify, null));
  }

  private SSLContext anonymous() throws Exception {
    return Pki.client(authority.certificate(), null);
  }

  private static Dialogue dialogue(ServerTls tls, SSLContext client, String version)
      throws Exception {
    return new Dialogue(tls.newSession(), new JsseClient(client, version));
  }

  private static void assertServes(ServerTls tls, SSLContext client) throws Exception {
    for (String version : BOTH) {
      Dialogue dialogue = dialogue(tls, client, version);
      dialogue.run();
      dialogue.assertEcho();
      assertThat(dialogue.server.description()).startsWith(version + " TLS_");
    }
  }

  private void assertFault(VerifyClients verify, Path file, String problem) {
    assertThatThrownBy(() -> open(verify).close())
        .isInstanceOf(TlsFilesException.class)
        .hasMessage("can't use " + file + ": " + problem);
  }

  // The files.

  @Test
  void keysMayBeOfAnyKindAndInPkcs8OrWhatCameBefore() throws Exception {
    for (KeyPair keys : List.of(Pki.rsa(), Pki.ec(), Pki.ed25519())) {
      Pki.Identity server = server(keys);
      write(server, Pki.pkcs8(server.key()));
      try (ServerTls tls = open(null)) {
        assertServes(tls, anonymous());
      }
    }
    Pki.Identity rsa = server(Pki.rsa());
    String key = Pki.pem(rsa.key());
    assertThat(key).startsWith("-----BEGIN RSA PRIVATE KEY");
    write(rsa, key);
    try (ServerTls tls = open(null)) {
      assertServes(tls, anonymous());
    }
  }

  /** As "openssl ecparam -genkey" and "openssl req" leave it. */
  @Test
  void whatElseIsInTheFilesIsPassedOver() throws Exception {
    Pki.Identity server = server(Pki.ec());
    PemObject parameters =
        new PemObject("EC PARAMETERS", X9ObjectIdentifiers.prime256v1.getEncoded());
    write(server, "made for tests\n" + Pki.pem(parameters) + Pki.sec1((ECPrivateKey) server.key()));
    Files.writeString(
        certificateFile, "subject=CN = server\n" + Pki.pem(server.certificate()) + "\n\n");
    try (ServerTls tls = open(null)) {
      assertServes(tls, anonymous());
    }
  }

  @Test
  void theChainIsSentAlong() throws Exception {
    Pki.Identity middle = authority.issue("CN=middle", Pki.ec(), true);
    Pki.Identity server = middle.issue("CN=server", Pki.ec(), false);
    Pki.writeServer(directory, server, middle.certificate());
    try (ServerTls tls = open(null)) {
      assertServes(tls, anonymous());
    }
    Pki.writeServer(directory, server);
    try (ServerTls tls = open(null)) {
      Dialogue dialogue = dialogue(tls, anonymous(), "TLSv1.3");
      assertThatThrownBy(dialogue::run).isInstanceOf(TlsException.class);
      assertThat(dialogue.client.complaint()).contains("path");
    }
  }

  @Test
  void filesThatAreMissingAreNamed() throws Exception {
    assertFault(null, certificateFile, "there is no such file");
    Pki.writeServer(directory, server(Pki.ec()));
    Files.delete(keyFile);
    assertFault(null, keyFile, "there is no such file");
  }

  @Test
  void withoutAnAuthorityClientsCannotBeVerified() throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    assertFault(VerifyClients.REQUIRED, authorityFile, "there is no such file");
    assertFault(VerifyClients.OPTIONAL, authorityFile, "there is no such file");
    open(VerifyClients.OFF).close();
    open(null).close();
  }

  @Test
  void anAuthorityThatIsNotOneIsNamed() throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    Files.writeString(authorityFile, "");
    assertFault(null, authorityFile, "there is no certificate in it");
    open(VerifyClients.OFF).close();
  }

  @Test
  void whatIsNoCertificateIsNamed() throws Exception {
    Pki.Identity server = server(Pki.ec());
    Pki.writeServer(directory, server);
    Files.writeString(certificateFile, "");
    assertFault(null, certificateFile, "there is no certificate in it");
    Files.writeString(certificateFile, Pki.pkcs8(server.key()));
    assertFault(null, certificateFile, "it does not hold certificates in PEM");
    String pem = Pki.pem(server.certificate());
    Files.writeString(certificateFile, pem.substring(0, pem.length() / 2));
    assertFault(null, certificateFile, "it does not hold certificates in PEM");
    Files.write(certificateFile, new byte[33 << 10]);
    assertFault(null, certificateFile, "it has more than 32768 bytes");
    Files.delete(certificateFile);
    Files.createDirectory(certificateFile);
    assertFault(null, certificateFile, "Is a directory");
  }

  @Test
  void whatIsNoKeyIsNamed() throws Exception {
    Pki.Identity server = server(Pki.rsa());
    Pki.writeServer(directory, server);
    Files.writeString(keyFile, "");
    assertFault(null, keyFile, "there is no private key in it");
    Files.writeString(keyFile, Pki.pem(server.certificate()));
    assertFault(null, keyFile, "there is no private key in it");
    String pem = Pki.pkcs8(server.key());
    Files.writeString(keyFile, pem.substring(0, pem.length() / 2));
    assertFault(null, keyFile, "-----END PRIVATE KEY----- not found");
    Files.writeString(keyFile, pem.substring(0, 200) + "@@@" + pem.substring(203));
    assertFault(null, keyFile, "it does not hold a key in PEM");
    Files.writeString(keyFile, pem.substring(0, 28) + "AAAA\n" + pem.substring(pem.length() - 26));
    assertFault(null, keyFile, "it does not hold a key in PEM");
    byte[] binary = new byte[4096];
    new Random(1).nextBytes(binary);
    Files.write(keyFile, binary);
    assertFault(null, keyFile, "it does not hold a key in PEM");
  }

  @Test
  void anEncryptedKeyIsRefused() throws Exception {
    Pki.Identity server = server(Pki.rsa());
    Pki.writeServer(directory, server);
    String problem = "the key is encrypted; a server needs it in the clear";
    BouncyCastleProvider provider = new BouncyCastleProvider();
    Files.writeString(
        keyFile,
        Pki.pem(
            new JcaPKCS8Generator(
                server.key(),
                new JceOpenSSLPKCS8EncryptorBuilder(PKCS8Generator.AES_256_CBC)
                    .setProvider(provider)
                    .setPassword("secret".toCharArray())
                    .build())));
    assertFault(null, keyFile, problem);
    try (JcaPEMWriter writer = new JcaPEMWriter(Files.newBufferedWriter(keyFile))) {
      writer.writeObject(
          server.key(),
          new JcePEMEncryptorBuilder("AES-128-CBC")
              .setProvider(provider)
              .build("secret".toCharArray()));
    }
    assertThat(keyFile).content().contains("ENCRYPTED");
    assertFault(null, keyFile, problem);
  }

  @Test
  void aKeyThatIsNotTheCertificatesIsRefused() throws Exception {
    for (KeyPair keys : List.of(Pki.rsa(), Pki.ec())) {
      for (KeyPair others : List.of(Pki.rsa(), Pki.ec(), Pki.ed25519())) {
        write(server(keys), Pki.pkcs8(others.getPrivate()));
        assertFault(
            null,
            keyFile,
            "it does not fit " + certificateFile + ": the certificate is for another key");
      }
    }
  }

  @Test
  void aKeyThatEverybodyCanReadIsToldAbout() throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    try (CapturedLog log = new CapturedLog()) {
      Files.setPosixFilePermissions(keyFile, PosixFilePermissions.fromString("rw-r--r--"));
      open(null).close();
      assertThat(log.take())
          .singleElement()
          .asString()
          .endsWith("TLS: every user of this machine can read " + keyFile + ": chmod o-r it");
      Files.setPosixFilePermissions(keyFile, PosixFilePermissions.fromString("rw-r-----"));
      open(null).close();
      assertThat(log.take()).isEmpty();
    }
  }

  // Replacements.

  private X509Certificate seenBy(ServerTls tls) throws Exception {
    JsseClient client = new JsseClient(anonymous(), "TLSv1.3");
    Dialogue dialogue = new Dialogue(tls.newSession(), client);
    dialogue.run();
    dialogue.assertEcho();
    return (X509Certificate) client.engine().getSession().getPeerCertificates()[0];
  }

  /** The clock of a file system is coarser than a test is fast. */
  private void touch(int second) throws Exception {
    FileTime time = FileTime.fromMillis(1_000_000_000_000L + 1000L * second);
    Files.setLastModifiedTime(keyFile, time);
    Files.setLastModifiedTime(certificateFile, time);
  }

  @Test
  void aReplacementIsForTheNextSession() throws Exception {
    Pki.Identity first = server(Pki.ec());
    Pki.writeServer(directory, first);
    touch(1);
    try (ServerTls tls = open(null);
        CapturedLog log = new CapturedLog()) {
      tls.reload();
      assertThat(log.take()).isEmpty();
      Dialogue underWay = dialogue(tls, anonymous(), "TLSv1.3");
      Pki.Identity second = server(Pki.rsa());
      Pki.writeServer(directory, second);
      touch(2);
      assertThat(seenBy(tls)).isEqualTo(first.certificate());

      tls.reload();
      assertThat(log.take())
          .anyMatch(line -> line.endsWith("TLS: read " + directory + " again, which has changed"));
      assertThat(seenBy(tls)).isEqualTo(second.certificate());
      underWay.run();
      underWay.assertEcho();
    }
  }

  @Test
  void aBrokenReplacementIsNotUsedAndToldOnce() throws Exception {
    Pki.Identity first = server(Pki.ec());
    Pki.writeServer(directory, first);
    touch(1);
    try (ServerTls tls = open(null);
        CapturedLog log = new CapturedLog()) {
      Pki.Identity second = server(Pki.ec());
      // As if somebody was in the middle of it: the certificate is there, its key is not.
      Files.writeString(certificateFile, Pki.pem(second.certificate()));
      touch(2);
      tls.reload();
      tls.reload();
      touch(3);
      tls.reload();
      assertThat(log.take().stream().filter(line -> !line.contains("chmod")))
          .singleElement()
          .asString()
          .endsWith(
              "TLS: can't use "
                  + keyFile
                  + ": it does not fit "
                  + certificateFile
                  + ": the certificate is for another key; what was there before is still used");
      assertThat(seenBy(tls)).isEqualTo(first.certificate());
      String damaged = Pki.pkcs8(second.key());
      Pki.writePrivate(keyFile, damaged.substring(0, 60) + "@@@" + damaged.substring(63));
      tls.reload();
      tls.reload();
      assertThat(log.take())
          .singleElement()
          .asString()
          .contains("can't use " + keyFile + ": it does not hold a key in PEM");
      Files.delete(keyFile);
      tls.reload();
      tls.reload();
      assertThat(log.take())
          .singleElement()
          .asString()
          .contains("can't use " + keyFile + ": there is no such file");
      assertThat(seenBy(tls)).isEqualTo(first.certificate());

      Files.writeString(keyFile, Pki.pkcs8(second.key()));
      touch(4);
      tls.reload();
      assertThat(seenBy(tls)).isEqualTo(second.certificate());
    }
  }

  /** A server without clients' certificates does not lose that by a file. */
  @Test
  void anAuthorityThatAppearsMeansThatClientsAreVerified() throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    try (ServerTls tls = open(null)) {
      assertServes(tls, anonymous());
      Files.writeString(authorityFile, Pki.pem(authority.certificate()));
      tls.reload();
      assertRefused(tls, anonymous(), "TLSv1.3");
    }
  }

  // Clients.

  private ServerTls verifying(VerifyClients verify) throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    Files.writeString(authorityFile, Pki.pem(authority.certificate()));
    return open(verify);
  }

  private static void assertRefused(ServerTls tls, SSLContext client, String version)
      throws Exception {
    Dialogue dialogue = dialogue(tls, client, version);
    assertThatThrownBy(dialogue::run)
        .isInstanceOf(TlsException.class)
        .satisfies(e -> assertThat(e.getMessage()).isNotBlank().doesNotContain("\n"));
    assertThat(dialogue.server.isHandshaking()).isTrue();
    assertThat(dialogue.server.peer()).isNull();
    assertThat(dialogue.client.complaint()).isNotNull();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void aRequiredCertificateIsRequiredAndVerified(String version) throws Exception {
    Pki.Identity good = authority.issue("CN=client,O=Example", Pki.rsa(), false);
    Pki.Identity impostor =
        Pki.authority("CN=authority").issue("CN=client,O=Example", Pki.ec(), false);
    for (VerifyClients verify : new VerifyClients[] {VerifyClients.REQUIRED, null}) {
      try (ServerTls tls = verifying(verify)) {
        Dialogue dialogue = dialogue(tls, Pki.client(authority.certificate(), good), version);
        assertThat(dialogue.server.peer()).isNull();
        dialogue.run();
        dialogue.assertEcho();
        assertThat(dialogue.server.peer()).isEqualTo(new X500Principal("CN=client,O=Example"));
        assertRefused(tls, anonymous(), version);
        assertRefused(tls, Pki.client(authority.certificate(), impostor), version);
        Pki.Identity expired = authority.issueExpired("CN=client,O=Example");
        assertRefused(tls, Pki.client(authority.certificate(), expired), version);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void anOptionalCertificateMayBeMissingAndNotWrong(String version) throws Exception {
    try (ServerTls tls = verifying(VerifyClients.OPTIONAL)) {
      Dialogue none = dialogue(tls, anonymous(), version);
      none.run();
      none.assertEcho();
      assertThat(none.server.peer()).isNull();
      Pki.Identity good = authority.issue("CN=client", Pki.ec(), false);
      Dialogue proved = dialogue(tls, Pki.client(authority.certificate(), good), version);
      proved.run();
      proved.assertEcho();
      assertThat(proved.server.peer()).isEqualTo(new X500Principal("CN=client"));
      Pki.Identity impostor = Pki.authority("CN=other").issue("CN=client", Pki.ec(), false);
      assertRefused(tls, Pki.client(authority.certificate(), impostor), version);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void aCertificateThatIsNotAskedForProvesNothing(String version) throws Exception {
    try (ServerTls tls = verifying(VerifyClients.OFF)) {
      Pki.Identity impostor = Pki.authority("CN=other").issue("CN=client", Pki.ec(), false);
      Dialogue dialogue = dialogue(tls, Pki.client(authority.certificate(), impostor), version);
      dialogue.run();
      dialogue.assertEcho();
      assertThat(dialogue.server.peer()).isNull();
    }
  }

  // The conversation.

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void theClientsEndIsTold(String version) throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    try (ServerTls tls = open(null)) {
      Dialogue dialogue = dialogue(tls, anonymous(), version);
      dialogue.run();
      assertThat(dialogue.server.isInputClosed()).isFalse();
      dialogue.client.send(Dialogue.HELLO);
      dialogue.client.close();
      dialogue.run();
      assertThat(dialogue.takePlain()).isEqualTo(Dialogue.HELLO);
      assertThat(dialogue.server.isInputClosed()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void theServersEndIsTold(String version) throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    try (ServerTls tls = open(null)) {
      Dialogue dialogue = dialogue(tls, anonymous(), version);
      dialogue.run();
      dialogue.serverSends(Dialogue.HELLO);
      assertThat(dialogue.client.isInputClosed()).isFalse();
      dialogue.server.closeOutput();
      dialogue.run();
      assertThat(dialogue.client.takePlain()).isEqualTo(Dialogue.HELLO);
      assertThat(dialogue.client.isInputClosed()).isTrue();
      assertThat(dialogue.client.complaint()).isNull();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void aRecordThatWasChangedOnTheWayEndsIt(String version) throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    try (ServerTls tls = open(null)) {
      Dialogue dialogue = dialogue(tls, anonymous(), version);
      dialogue.run();
      dialogue.assertEcho();
      dialogue.onTheWay = record -> record[record.length - 1] ^= 1;
      dialogue.client.send(Dialogue.HELLO);
      assertThatThrownBy(dialogue::run).isInstanceOf(TlsException.class);
      assertThat(dialogue.takePlain()).isEmpty();
      assertThat(dialogue.client.complaint()).contains("bad_record_mac");
    }
  }

  @Test
  void whatIsLargerThanARecordArrivesWhole() throws Exception {
    Pki.writeServer(directory, server(Pki.ec()));
    byte[] much = new byte[200_000];
    new Random(2).nextBytes(much);
    try (ServerTls tls = open(null)) {
      for (String version : BOTH) {
        Dialogue dialogue = dialogue(tls, anonymous(), version);
        dialogue.run();
        dialogue.client.send(much);
        dialogue.run();
        assertThat(dialogue.takePlain()).isEqualTo(much);
        dialogue.serverSends(much);
        assertThat(dialogue.client.takePlain()).isEqualTo(much);
      }
    }
  }
}
