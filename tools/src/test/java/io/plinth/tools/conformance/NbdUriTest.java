package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NbdUriTest {
  @ParameterizedTest
  @CsvSource({
    "nbd://host, host, 10809, ''",
    "nbd://host/, host, 10809, ''",
    "nbd://host:1/a, host, 1, a",
    "nbd://[::1]:2/a/b, ::1, 2, a/b",
    "nbd://127.0.0.1/a%20b+c, 127.0.0.1, 10809, a b+c",
    "nbd://h//a, h, 10809, /a"
  })
  void tcp(String text, String host, int port, String export) {
    NbdUri uri = NbdUri.parse(text);
    assertThat(uri.host()).isEqualTo(host);
    assertThat(uri.port()).isEqualTo(port);
    assertThat(uri.export()).isEqualTo(export);
    assertThat(uri.tls()).isFalse();
    assertThat(uri.isUnix()).isFalse();
  }

  @Test
  void unixSocket() {
    NbdUri uri = NbdUri.parse("nbd+unix:///x?socket=/run/a%20b.sock");
    assertThat(uri.isUnix()).isTrue();
    assertThat(uri.socket()).isEqualTo("/run/a b.sock");
    assertThat(uri.export()).isEqualTo("x");
  }

  @Test
  void tls() {
    NbdUri uri = NbdUri.parse("nbds://h/x?tls-certificates=/pki&tls-hostname=n&tls-verify-peer=0");
    assertThat(uri.tls()).isTrue();
    assertThat(uri.certificates()).isEqualTo("/pki");
    assertThat(uri.tlsName()).isEqualTo("n");
    assertThat(uri.verifyPeer()).isFalse();
    assertThat(NbdUri.parse("nbds+unix:///x?socket=/s").tls()).isTrue();
  }

  @ParameterizedTest
  @CsvSource({
    "nbds://alice@h:1/x?tls-psk-file=/k%20eys, alice, h, ''",
    "nbds://a%40b@[::1]/x?tls-psk-file=/k%20eys&tls-type=psk, a@b, ::1, ''",
    "nbds+unix://alice@/x?socket=/s&tls-psk-file=/k%20eys, alice, '', /s"
  })
  void preSharedKeys(String text, String identity, String host, String socket) {
    NbdUri uri = NbdUri.parse(text);
    assertThat(uri.tls()).isTrue();
    assertThat(uri.pskIdentity()).isEqualTo(identity);
    assertThat(uri.pskFile()).isEqualTo("/k eys");
    assertThat(uri.host()).isEqualTo(host);
    assertThat(uri.socket()).isEqualTo(socket);
    assertThat(uri.export()).isEqualTo("x");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "host:1",
        "http://host/x",
        "nbd:host",
        "nbd:///x",
        "nbd://host/x#y",
        "nbd+unix:///x",
        "nbd://host/%",
        "nbds://host/x?tls-psk-file=/keys",
        "nbds://alice@host/x",
        "nbd://alice@host/x",
        "nbd://alice@host/x?tls-psk-file=/keys",
        "nbds://alice@host/x?tls-psk-file=/keys&tls-certificates=/pki",
        "nbds://alice@host/x?tls-psk-file=/keys&tls-type=x509",
        "nbds://alice@host/x?tls-type=psk",
        "nbds://host/x?tls-type=anon"
      })
  void whatIsNoUriIsToldInOneLine(String text) {
    assertThatThrownBy(() -> NbdUri.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n").isNotBlank());
  }
}
