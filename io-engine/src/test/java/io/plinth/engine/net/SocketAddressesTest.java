package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SocketAddressesTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "127.0.0.1:10809",
        "0.0.0.0:0",
        "255.255.255.255:65535",
        "[0:0:0:0:0:0:0:1]:10809",
        "unix:/run/plinth.sock",
        "unix:relative",
        "unix:/with:colon"
      })
  void anAddressIsDecodedAsItWasWritten(String address) {
    byte[] encoded = SocketAddresses.encode(address);

    assertThat(SocketAddresses.decode(encoded, encoded.length)).isEqualTo(address);
  }

  @ParameterizedTest
  @CsvSource({
    "localhost:1, 127.0.0.1:1",
    "[::1]:10809, [0:0:0:0:0:0:0:1]:10809",
    "::1:10809, [0:0:0:0:0:0:0:1]:10809"
  })
  void otherSpellingsMeanTheSame(String address, String canonical) {
    byte[] encoded = SocketAddresses.encode(address);

    assertThat(SocketAddresses.decode(encoded, encoded.length)).isEqualTo(canonical);
  }

  @Test
  void aHostIsANumberWhereNothingMayBeLookedUp() {
    for (String address : new String[] {"127.0.0.1:1", "[::1]:2", "::1:2", "unix:/x"}) {
      assertThat(SocketAddresses.encodeLiteral(address)).isEqualTo(SocketAddresses.encode(address));
    }
    assertThatThrownBy(() -> SocketAddresses.encodeLiteral("localhost:1"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "bad address \"localhost:1\": the host is not a number, and names are not looked up");
    assertThat(SocketAddresses.resolve("localhost:1")).isEqualTo("127.0.0.1:1");
  }

  @Test
  void anInternetAddressIsEncodedAsTheKernelWantsIt() {
    assertThat(SocketAddresses.encode("1.2.3.4:258"))
        .containsExactly(2, 0, 1, 2, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  @Test
  void theFamilyIsKnown() {
    assertThat(SocketAddresses.family(SocketAddresses.encode("unix:/x")))
        .isEqualTo(SocketAddresses.AF_UNIX);
    assertThat(SocketAddresses.family(SocketAddresses.encode("127.0.0.1:1")))
        .isEqualTo(SocketAddresses.AF_INET);
    assertThat(SocketAddresses.family(SocketAddresses.encode("[::1]:1")))
        .isEqualTo(SocketAddresses.AF_INET6);
  }

  @Test
  void theNamelessEndOfAUnixSocketIsUnix() {
    assertThat(SocketAddresses.decode(new byte[] {1, 0}, 2)).isEqualTo("unix:");
    assertThat(SocketAddresses.decode(new byte[128], 0)).isEqualTo("unix:");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "localhost | bad address \"localhost\": expected HOST:PORT or unix:PATH",
        "'' | bad address \"\": expected HOST:PORT or unix:PATH",
        ":10809 | bad address \":10809\": expected HOST:PORT or unix:PATH",
        "127.0.0.1: | bad address \"127.0.0.1:\": the port is not a number",
        "127.0.0.1:nbd | bad address \"127.0.0.1:nbd\": the port is not a number",
        "127.0.0.1:65536 | bad address \"127.0.0.1:65536\": the port is not within 0..65535",
        "127.0.0.1:-1 | bad address \"127.0.0.1:-1\": the port is not within 0..65535",
        "no.such.host.invalid:1 | bad address \"no.such.host.invalid:1\": unknown host",
        "unix: | bad unix socket path \"\": it must have 1 to 107 bytes"
      })
  void aBadAddressIsRefusedWithWhatIsWrong(String address, String message) {
    assertThatThrownBy(() -> SocketAddresses.encode(address))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void aUnixPathHasAtMost107Bytes() {
    String longest = "/" + "x".repeat(106);

    assertThat(SocketAddresses.decode(SocketAddresses.encode("unix:" + longest), 110))
        .isEqualTo("unix:" + longest);
    assertThatThrownBy(() -> SocketAddresses.encode("unix:" + longest + "x"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("it must have 1 to 107 bytes");
  }
}
