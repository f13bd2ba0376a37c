package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.net.SelfSignedTls;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import javax.net.ssl.SSLSocket;

/** A server's side of TLS. */
final class FakeTls {
  private FakeTls() {}

  /** Returns when there is a certificate, which takes a second. */
  static void load() {
    assertThat(SelfSignedTls.context()).isNotNull();
  }

  /** Makes the handshake. */
  static SSLSocket over(Socket socket, boolean onlyNewest) throws IOException {
    SSLSocket tls =
        (SSLSocket)
            SelfSignedTls.context()
                .getSocketFactory()
                .createSocket(socket, (InputStream) null, true);
    if (onlyNewest) {
      tls.setEnabledProtocols(new String[] {"TLSv1.3"});
    }
    tls.startHandshake();
    return tls;
  }
}
