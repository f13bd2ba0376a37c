package io.plinth.tools.conformance;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class FuzzScriptTest {
  private static FuzzScript script(long seed, long number) {
    return FuzzScript.of(seed, number, "scratch", 1 << 20);
  }

  @Test
  void aCaseFollowsFromSeedAndNumber() {
    Set<List<Byte>> different = new HashSet<>();
    for (int number = 0; number < 100; number++) {
      FuzzScript script = script(3, number);
      FuzzScript again = script(3, number);
      assertThat(again.pieces()).hasSameSizeAs(script.pieces());
      for (int i = 0; i < script.pieces().size(); i++) {
        assertThat(again.pieces().get(i)).isEqualTo(script.pieces().get(i));
      }
      assertThat(again.reads()).isEqualTo(script.reads());
      different.add(bytes(script));
      different.add(bytes(script(4, number)));
    }
    // A few leave before they have said anything.
    assertThat(different).hasSizeGreaterThan(190);
  }

  @Test
  void manyCasesGoOnWithRecordsOfTls() {
    byte[] startTls = Packet.option(Nbd.OPT_STARTTLS, new byte[0]);
    int helloCount = 0;
    int otherCount = 0;
    for (int number = 0; number < 400; number++) {
      String said = latin1(script(7, number));
      int at = said.lastIndexOf(new String(startTls, ISO_8859_1));
      if (at >= 0 && said.length() > at + startTls.length + 6) {
        String record = said.substring(at + startTls.length);
        if (record.startsWith("\u0016\u0003\u0001") && record.charAt(5) == 1) {
          helloCount++;
        } else {
          otherCount++;
        }
      }
    }
    assertThat(helloCount).isGreaterThan(20);
    assertThat(otherCount).isGreaterThan(5);
  }

  private static String latin1(FuzzScript script) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    script.pieces().forEach(all::writeBytes);
    return all.toString(ISO_8859_1);
  }

  private static List<Byte> bytes(FuzzScript script) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    script.pieces().forEach(all::writeBytes);
    byte[] bytes = all.toByteArray();
    List<Byte> list = new ArrayList<>(bytes.length);
    for (int i = 0; i < Math.min(bytes.length, 4096); i++) {
      list.add(bytes[i]);
    }
    return list;
  }
}
