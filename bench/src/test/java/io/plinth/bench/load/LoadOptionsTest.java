package io.plinth.bench.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.UnixDomainSocketAddress;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class LoadOptionsTest {
  @Test
  void addressesOfEveryForm() throws LoadException {
    assertThat(LoadOptions.parse("--uri", "127.0.0.1:1234").address())
        .hasToString("/127.0.0.1:1234");
    assertThat(LoadOptions.parse("--uri", "[::1]:1234").address())
        .hasToString("/[0:0:0:0:0:0:0:1]:1234");
    assertThat(LoadOptions.parse("--uri", "unix:/x/y").address())
        .isEqualTo(UnixDomainSocketAddress.of("/x/y"));
    assertThat(LoadOptions.parse("--uri", "/x/y").address())
        .isEqualTo(UnixDomainSocketAddress.of("/x/y"));
    LoadOptions tcp = LoadOptions.parse("--uri", "nbd://127.0.0.1/demo");
    assertThat(tcp.address()).hasToString("/127.0.0.1:10809");
    assertThat(tcp.export()).isEqualTo("demo");
    LoadOptions unix = LoadOptions.parse("--uri", "nbd+unix:///demo?socket=/x/y");
    assertThat(unix.address()).isEqualTo(UnixDomainSocketAddress.of("/x/y"));
    assertThat(unix.export()).isEqualTo("demo");
  }

  @Test
  void sizesWithAndWithoutSuffix() throws LoadException {
    LoadOptions options =
        LoadOptions.parse("--uri", "/x", "--block-size", "128K", "--range", "1073741824");
    assertThat(options.blockBytes()).isEqualTo(128 << 10);
    assertThat(options.rangeBytes()).isEqualTo(1 << 30);
  }

  @Test
  void severalServersCount() throws LoadException {
    assertThat(LoadOptions.parse("--uri", "/x", "--server-pid", "1,2").serverPids())
        .containsExactly(1L, 2L);
  }

  @Test
  void mistakesAreNamed() {
    String[][] table = {
      {"--uri is missing"},
      {"unknown option or no value: --uri", "--uri"},
      {"unknown option: --urn", "--urn", "x"},
      {"bad value of --uri: host", "--uri", "host"},
      {"bad value of --op: erase", "--uri", "/x", "--op", "erase"},
      {"bad value of --queue-depth: x", "--uri", "/x", "--queue-depth", "x"},
      {"--queue-depth is 1 to 4096", "--uri", "/x", "--queue-depth", "0"},
      {"--block-size is 512 to 32M", "--uri", "/x", "--block-size", "64M"},
      {"--range is at least one block", "--uri", "/x", "--range", "1K"},
      {"bad value of --uri: nbd+unix:///x", "--uri", "nbd+unix:///x"},
    };
    for (String[] row : table) {
      String[] arguments = Arrays.copyOfRange(row, 1, row.length);
      assertThatThrownBy(() -> LoadOptions.parse(arguments))
          .isInstanceOf(LoadException.class)
          .hasMessage(row[0]);
    }
  }
}
