package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.TlsException;
import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.uring.UringDriver;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.agrona.DirectBuffer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What {@link Connection} promises holds with TLS below it, and what TLS adds. */
class TlsConnectionContractTest extends ConnectionContractTest {
  private static ExecutorService helpers;
  private static SSLContext context;

  /** Returns the version that clients offer. */
  protected String version() {
    return "TLSv1.3";
  }

  @BeforeAll
  static void startHelpers() {
    helpers = Executors.newFixedThreadPool(2);
    context = SelfSignedTls.context();
  }

  @AfterAll
  static void endHelpers() {
    helpers.shutdown();
  }

  @Override
  protected DriverFactory driverFactory() {
    return core -> new UringDriver(64);
  }

  @Override
  protected void onAccept(Connection connection) {
    startTls(connection);
  }

  /** A client is through with its handshake before the server is. */
  @Override
  protected void awaitOpen(Session session) throws InterruptedException {
    assertThat(session.secured.await(20, TimeUnit.SECONDS)).isTrue();
  }

  private static void startTls(Connection connection) {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(false);
    try {
      connection.startTls(new JsseEngine(engine), helpers);
    } catch (TlsException e) {
      throw new AssertionError(e);
    }
  }

  private static Socket connectPlain(String address) throws IOException {
    int port = Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setTcpNoDelay(true);
    socket.setSoTimeout(20_000);
    return socket;
  }

  private SSLSocket secure(Socket socket) throws IOException {
    SSLSocket secure =
        (SSLSocket)
            context.getSocketFactory().createSocket(socket, "localhost", socket.getPort(), true);
    secure.setEnabledProtocols(new String[] {version()});
    secure.startHandshake();
    return secure;
  }

  @Override
  protected Peer connect(String address) throws IOException {
    Socket socket = connectPlain(address);
    SSLSocket secure = secure(socket);
    return new Peer() {
      @Override
      public void send(byte[] bytes) throws IOException {
        secure.getOutputStream().write(bytes);
      }

      @Override
      public byte[] receive(int length) throws IOException {
        return secure.getInputStream().readNBytes(length);
      }

      @Override
      public void close() throws IOException {
        secure.close();
      }

      @Override
      public void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
      }
    };
  }

  /** The end is a record, which is not looked at before the session wants to hear again. */
  @Override
  @Test
  void aConnectionThatEndsWhileItIsPausedIsClosedOnce() throws Exception {
    Peer peer = connect(address());
    Session session = acceptedSession();
    onCore(0, () -> session.connection.get().pauseReceive());

    peer.close();
    onCore(0, () -> session.connection.get().resumeReceive());

    session.awaitEvent("closed OK");
    assertThat(session.closes).hasValue(1);
  }

  @Test
  void theEndIsAnnouncedSoThatItIsNoTruncation() throws Exception {
    SSLSocket client = secure(connectPlain(address()));
    Session session = acceptedSession();
    awaitOpen(session);

    onCore(
        0,
        () -> {
          put(session.connection.get(), ascii("bye"), new ByteArrayOutputStream());
          session.connection.get().closeAfterFlush();
        });

    // A stream that just ended would be an SSLException here.
    assertThat(client.getInputStream().readAllBytes()).isEqualTo(ascii("bye"));
    session.awaitEvent("closed OK");
    client.close();
  }

  @Test
  void manyMegabytesGoBothWaysAtOnce() throws Exception {
    byte[] content = new byte[8 << 20];
    new Random(1).nextBytes(content);
    setNextSession(
        new Session() {
          @Override
          public int onReceive(Connection from, DirectBuffer bytes, int offset, int length) {
            int piece = Math.min(length, 20_000);
            int at = from.claim(piece);
            if (at < 0) {
              from.pauseReceive();
              return 0;
            }
            from.outputBuffer().putBytes(at, bytes, offset, piece);
            return piece;
          }

          @Override
          public void onWritable(Connection from) {
            from.resumeReceive();
          }
        });
    SSLSocket client = secure(connectPlain(address()));
    CompletableFuture<byte[]> echo =
        CompletableFuture.supplyAsync(() -> {
          try {
            return client.getInputStream().readNBytes(content.length);
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        });
    try {
      client.getOutputStream().write(content);
    } catch (IOException e) {
      throw new AssertionError("session: " + acceptedSession().events, e);
    }

    assertThat(Arrays.equals(echo.get(30, TimeUnit.SECONDS), content)).isTrue();
    client.close();
    acceptedSession().awaitEvent("closed OK");
  }

  @Test
  void whatIsNoTlsEndsTheConnectionWithAReason() throws Exception {
    try (Socket client = connectPlain(address())) {
      client.getOutputStream().write(ascii("GET / HTTP/1.1\r\n\r\n"));

      Session session = acceptedSession();
      assertThat(session.next()).isEqualTo("TLS failed: the client does not speak TLS");
      assertThat(session.next()).isEqualTo("closed EPROTO");
      assertThat(client.getInputStream().read()).isEqualTo(-1);
      assertThat(session.received.size()).isZero();
    }
  }

  @Test
  void aRecordThatWasTamperedWithEndsTheConnectionWithAnAlert() throws Exception {
    Socket socket = connectPlain(address());
    SSLSocket client = secure(socket);
    Session session = acceptedSession();
    client.getOutputStream().write(ascii("good"));
    session.awaitEvent("received good");

    byte[] record = new byte[5 + 40];
    record[0] = 23;
    record[1] = 3;
    record[2] = 3;
    record[4] = 40;
    socket.getOutputStream().write(record);

    assertThat(session.next()).startsWith("TLS failed: ");
    assertThat(session.next()).isEqualTo("closed EPROTO");
    assertThatThrownBy(() -> client.getInputStream().read())
        .isInstanceOf(SSLException.class)
        .hasMessageContaining("bad_record_mac");
    assertThat(session.received.toByteArray()).isEqualTo(ascii("good"));
    socket.close();
  }

  @Test
  void aClientThatHangsUpInTheMiddleOfTheHandshakeLeavesNothing() throws Exception {
    Socket client = connectPlain(address());
    client.getOutputStream().write(new byte[] {22, 3, 1, 2, 0, 1});
    Session session = acceptedSession();
    onCore(0, () -> {});
    client.close();

    assertThat(session.next()).isEqualTo("closed OK");
  }

  @Test
  void withoutHelpersThereIsAFailureAndNoHarm() throws Exception {
    helpers.shutdown();
    try (Socket client = connectPlain(address())) {
      client.getOutputStream().write(new byte[] {22, 3, 1, 0, 1, 1});

      assertThat(acceptedSession().next()).startsWith("TLS failed: no helper");
      assertThat(client.getInputStream().read()).isEqualTo(-1);
    } finally {
      helpers = Executors.newFixedThreadPool(2);
    }
  }

  @Test
  void aClientThatTrustsNobodyIsAFailure() throws Exception {
    SSLContext strict = SSLContext.getInstance("TLS");
    KeyStore empty = KeyStore.getInstance("PKCS12");
    empty.load(null, null);
    TrustManagerFactory nobody =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    empty.setCertificateEntry("other", otherCertificate());
    nobody.init(empty);
    strict.init(null, nobody.getTrustManagers(), null);
    Socket socket = connectPlain(address());
    SSLSocket client =
        (SSLSocket)
            strict.getSocketFactory().createSocket(socket, "localhost", socket.getPort(), true);
    Session session = acceptedSession();

    assertThatThrownBy(client::startHandshake).isInstanceOf(SSLException.class);
    assertThat(session.next()).startsWith("TLS failed: ");
    assertThat(session.next()).startsWith("closed");
    socket.close();
  }

  /** Any certificate of the Java runtime's own store, none of which signed ours. */
  private static java.security.cert.Certificate otherCertificate() throws Exception {
    KeyStore store = KeyStore.getInstance("JKS");
    Path file = Path.of(System.getProperty("java.home"), "lib", "security", "cacerts");
    try (InputStream in = Files.newInputStream(file)) {
      store.load(in, null);
    }
    return store.getCertificate(store.aliases().nextElement());
  }
}
