package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/** A server's side of TLS, with a certificate of its own that nobody has signed. */
final class FakeTls {
  private static final String PASSWORD = "planted";
  private static final SSLContext CONTEXT = context();

  private FakeTls() {}

  /** Returns when there is a certificate, which takes a second. */
  static void load() {
    assertThat(CONTEXT).isNotNull();
  }

  /** Makes the handshake. */
  static SSLSocket over(Socket socket, boolean onlyNewest) throws IOException {
    SSLSocket tls =
        (SSLSocket) CONTEXT.getSocketFactory().createSocket(socket, (InputStream) null, true);
    if (onlyNewest) {
      tls.setEnabledProtocols(new String[] {"TLSv1.3"});
    }
    tls.startHandshake();
    return tls;
  }

  private static SSLContext context() {
    try {
      Path directory = Files.createTempDirectory("fake-tls");
      Path file = directory.resolve("server.p12");
      keytool(file);
      KeyStore store = KeyStore.getInstance(file.toFile(), PASSWORD.toCharArray());
      Files.delete(file);
      Files.delete(directory);
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      keys.init(store, PASSWORD.toCharArray());
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys.getKeyManagers(), null, null);
      return context;
    } catch (IOException | GeneralSecurityException e) {
      throw new AssertionError("no certificate for the server", e);
    }
  }

  private static void keytool(Path file) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "server",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD,
                "-keystore",
                file.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (process.waitFor() != 0) {
        throw new IOException("keytool: " + output);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while keytool ran");
    }
  }
}
