package io.plinth.target.security;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.Principal;
import java.util.List;
import javax.security.auth.x500.X500Principal;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ClientNamesTest {
  private static final Principal BACKUP = new X500Principal("CN=Backup Host,O=Example,C=DE");

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "CN=Backup Host,O=Example,C=DE | true",
        "CN=Backup Host, O=Example, C=DE | true",
        "cn=backup host,o=EXAMPLE,c=de | true",
        "CN = Backup   Host , O = Example , C = DE | true",
        "2.5.4.3=Backup Host,O=Example,C=DE | true",
        "CN=Backup Host,O=Example | false",
        "O=Example,CN=Backup Host,C=DE | false",
        "CN=BackupHost,O=Example,C=DE | false",
        "CN=Backup Host+O=Example,C=DE | false",
        "CN=Backup Host,O=Example,C=DE,C=DE | false",
        "CN=Backup Host\\,O=Example,C=DE | false",
        "psk:CN=Backup Host\\,O=Example\\,C=DE | false",
      })
  void distinguishedNamesAreComparedAsX500HasIt(String name, boolean same) {
    assertThat(ClientNames.contains(List.of(name), BACKUP)).isEqualTo(same);
    assertThat(ClientNames.contains(List.of("CN=other", name), BACKUP)).isEqualTo(same);
  }

  @Test
  void anIdentityIsComparedByteByByte() {
    Principal alice = new PskClient("alice");
    assertThat(alice.getName()).isEqualTo("psk:alice");
    assertThat(ClientNames.contains(List.of("CN=alice", "psk:alice"), alice)).isTrue();
    assertThat(ClientNames.contains(List.of("psk:Alice"), alice)).isFalse();
    assertThat(ClientNames.contains(List.of("psk:alice "), alice)).isFalse();
  }

  /** Whoever chooses a name for a key does not become somebody with a certificate. */
  @Test
  void aKeyIsNoCertificateAndTheOtherWayRound() {
    String name = BACKUP.getName();
    assertThat(ClientNames.contains(List.of(name), new PskClient(name))).isFalse();
    assertThat(ClientNames.contains(List.of("psk:" + name), BACKUP)).isFalse();
  }

  @Test
  void whoHasProvedNothingIsNobody() {
    assertThat(ClientNames.contains(List.of("CN=a", "psk:a"), null)).isFalse();
    assertThat(ClientNames.contains(List.of(), BACKUP)).isFalse();
  }
}
