package io.plinth.target.main;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ListenAddressTest {
  @ParameterizedTest
  @CsvSource({
    "127.0.0.1:10809, 127.0.0.1, 10809",
    "[::1]:0, ::1, 0",
    "localhost:65535, localhost, 65535"
  })
  void anAddressIsReadAndWrittenBack(String text, String host, int port) {
    ListenAddress address = ListenAddress.parse(text);
    assertThat(address).isEqualTo(new ListenAddress(host, port));
    assertThat(address).hasToString(text);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "10809",
        ":10809",
        "localhost",
        "localhost:",
        "localhost:x",
        "a:65536",
        "a:-1",
        "::1:10809"
      })
  void aBadAddressIsQuotedAndTheExpectedFormTold(String text) {
    assertThatThrownBy(() -> ListenAddress.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "bad address \""
                + text
                + "\": expected HOST:PORT, such as 127.0.0.1:10809 or [::1]:10809");
  }
}
