package io.plinth.tools.conformance;

import static org.assertj.core.api.Assertions.assertThat;

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
