package io.plinth.tools.it;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Certificates and pre-shared keys made by OpenSSL and GnuTLS, and how the clients of libnbd and
 * qemu are told to use them.
 */
final class TlsKeys {
  /** Versions as GnuTLS has them. */
  static final List<String> VERSIONS = List.of("VERS-TLS1.2", "VERS-TLS1.3");

  static final String OLD_VERSION = "VERS-TLS1.1";

  private final Path directory;

  TlsKeys(Path directory) throws IOException {
    this.directory = Files.createDirectories(directory);
    authority("ca", "/CN=authority");
    authority("other", "/CN=authority");
    issue("server", "server", "ca", "/CN=localhost", 2);
    issue("good", "client", "ca", "/O=Example/CN=backup", 2);
    issue("second", "client", "ca", "/O=Example/CN=second", 2);
    issue("expired", "client", "ca", "/O=Example/CN=backup", -1);
    issue("impostor", "client", "other", "/O=Example/CN=backup", 2);
    Files.createDirectory(certificates("bare"));
    for (String name : List.of("server", "good", "second", "expired", "impostor", "bare")) {
      Files.copy(directory.resolve("ca-cert.pem"), certificates(name).resolve("ca-cert.pem"));
    }
    preSharedKeys("alice", "alice");
    preSharedKeys("wrong", "alice");
    preSharedKeys("mallory", "mallory");
  }

  private void authority(String name, String subject) throws IOException {
    Shell.ok(
        20,
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        directory.resolve(name + "-key.pem").toString(),
        "-out",
        directory.resolve(name + "-cert.pem").toString());
  }

  private void issue(String name, String role, String authority, String subject, int days)
      throws IOException {
    Path to = Files.createDirectory(certificates(name));
    Path request = to.resolve("request");
    Path extensions = Files.writeString(to.resolve("ext"), "subjectAltName=IP:127.0.0.1\n");
    Shell.ok(
        20,
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        to.resolve(role + "-key.pem").toString(),
        "-out",
        request.toString());
    Shell.ok(
        20,
        "openssl",
        "x509",
        "-req",
        "-CAcreateserial",
        "-days",
        Integer.toString(days),
        "-extfile",
        extensions.toString(),
        "-CA",
        directory.resolve(authority + "-cert.pem").toString(),
        "-CAkey",
        directory.resolve(authority + "-key.pem").toString(),
        "-in",
        request.toString(),
        "-out",
        to.resolve(role + "-cert.pem").toString());
  }

  /** The file's name is what qemu looks for. */
  private void preSharedKeys(String name, String identity) throws IOException {
    Files.createDirectory(certificates(name));
    Shell.ok(20, "psktool", "--username", identity, "--pskfile", pskFile(name).toString());
  }

  /** Returns a directory as clients expect it: "good", "expired" and so on, "bare" for none. */
  Path certificates(String name) {
    return directory.resolve(name + ".d");
  }

  Path pskFile(String name) {
    return certificates(name).resolve("keys.psk");
  }

  /** Returns the URI of an export for a client with certificates. */
  String uri(PlinthProcess server, String export, String client) throws InterruptedException {
    return server.uri(export).replace("nbd:", "nbds:")
        + "?tls-certificates="
        + certificates(client);
  }

  /** Returns the URI of an export for a client with a key. */
  String pskUri(PlinthProcess server, String export, String identity, String keys)
      throws InterruptedException {
    return server.uri(export).replace("nbd://", "nbds://" + identity + "@")
        + "?tls-psk-file="
        + pskFile(keys);
  }

  /** Returns the beginning of a command line under which GnuTLS speaks one version only. */
  List<String> only(String version) throws IOException {
    Path file = directory.resolve(version);
    Files.writeString(file, "[priorities]\nSYSTEM=NORMAL:-VERS-ALL:+" + version + "\n");
    return List.of("env", "GNUTLS_SYSTEM_PRIORITY_FILE=" + file);
  }

  /** Returns how qemu's tools are told about certificates. */
  List<String> qemu(String client, String version) {
    // Without its own check, so that it is the server that judges.
    String object =
        "tls-creds-x509,id=t0,endpoint=client,sanity-check=off,dir=" + certificates(client);
    return qemu(object, version, "");
  }

  /** Returns how qemu's tools are told about a key. */
  List<String> qemuPsk(String identity, String keys, String version) {
    return qemu(
        "tls-creds-psk,id=t0,endpoint=client,dir=" + certificates(keys) + ",username=" + identity,
        version,
        ":+ECDHE-PSK:+DHE-PSK:+PSK");
  }

  private static List<String> qemu(String object, String version, String more) {
    return List.of(
        "--image-opts", "--object", object + ",priority=NORMAL:-VERS-ALL:+" + version + more);
  }

  /** Returns the options of an image that is an export, for {@link #qemu}. */
  static String image(PlinthProcess server, String export) throws InterruptedException {
    return "driver=raw,file.driver=nbd,file.host="
        + server.nbd().getHostString()
        + ",file.port="
        + server.nbd().getPort()
        + ",file.export="
        + export
        + ",file.tls-creds=t0";
  }

  /** Returns a context of a client of the Java runtime's without a certificate of its own. */
  SSLContext anonymous() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    try (InputStream in = Files.newInputStream(directory.resolve("ca-cert.pem"))) {
      store.setCertificateEntry(
          "ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  static List<String> command(List<String> before, String... command) {
    List<String> all = new ArrayList<>(before);
    all.addAll(List.of(command));
    return all;
  }
}
