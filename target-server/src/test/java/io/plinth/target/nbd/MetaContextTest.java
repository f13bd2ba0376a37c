package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_SET_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_STRUCTURED_REPLY;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TOO_BIG;
import static io.plinth.target.nbd.TestClient.contextData;
import static io.plinth.target.nbd.TestClient.infoData;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.nbd.TestClient.Chunk;
import io.plinth.target.nbd.TestClient.OptionReply;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The metadata contexts of the snapshots that a volume has. */
class MetaContextTest {
  private static final int SIZE = 1 << 20;

  private final TestServer server = new TestServer();
  private final MemoryVolume volume = server.volume("demo", 0, SIZE);
  private final MemoryVolume snapshot = server.volume("demo@monday", 0, SIZE);
  private final TestClient client = server.connect(Split.WHOLE).greet();

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private List<String> names(int option, String export, String... queries) {
    client.option(option, contextData(export, queries));
    return client.repliesUntilAck(option).stream().map(MetaContextTest::name).toList();
  }

  private static String name(OptionReply reply) {
    byte[] data = reply.data();
    return new String(data, 4, data.length - 4, UTF_8);
  }

  private void structured() {
    client.option(OPT_STRUCTURED_REPLY).expectAck(OPT_STRUCTURED_REPLY);
  }

  @Test
  void listNamesThoseOfEverySnapshot() {
    structured();
    String allocation = "base:allocation";
    String diff = "plinth:snapshot-diff:monday";
    String bitmap = "qemu:dirty-bitmap:monday";
    int list = OPT_LIST_META_CONTEXT;
    assertThat(names(list, "demo")).containsExactly(allocation, diff, bitmap);
    assertThat(names(list, "demo@monday")).containsExactly(allocation, diff, bitmap);
    assertThat(names(list, "demo", "qemu:")).containsExactly(bitmap);
    assertThat(names(list, "demo", "qemu:dirty-bitmap:")).containsExactly(bitmap);
    assertThat(names(list, "demo", "base:", diff)).containsExactly(allocation, diff);
    assertThat(names(list, "demo", "qemu:dirty-bitmap:tuesday")).isEmpty();
  }

  @Test
  void longListsAreSentNameByName() {
    for (int i = 0; i < 400; i++) {
      server.volume("demo@snapshot-%03d-%s".formatted(i, "x".repeat(40)), 0, 512);
    }
    structured();
    assertThat(names(OPT_LIST_META_CONTEXT, "demo")).hasSize(1 + 2 * 401);
  }

  @Test
  void setIgnoresWildcardsAndWhatIsNotThere() {
    structured();
    String[] queries = {
      "qemu:",
      "qemu:dirty-bitmap:",
      "qemu:dirty-bitmap:tuesday",
      "qemu:allocation-depth",
      "qemu:dirty-bitmap:monday",
      "qemu:dirty-bitmap:monday"
    };
    assertThat(names(OPT_SET_META_CONTEXT, "demo", queries))
        .containsExactly("qemu:dirty-bitmap:monday");
  }

  @Test
  void moreThanEightContextsAreTooMany() {
    String[] queries = new String[9];
    for (int i = 0; i < queries.length; i++) {
      server.volume("demo@s" + i, 0, 512);
      queries[i] = "qemu:dirty-bitmap:s" + i;
    }
    structured();
    client.option(OPT_SET_META_CONTEXT, contextData("demo", queries));
    client.expectError(OPT_SET_META_CONTEXT, REP_ERR_TOO_BIG);
  }

  @Test
  void B2_oneChunkForEachSelectedContext() {
    structured();
    String[] queries = {"base:allocation", "qemu:dirty-bitmap:monday"};
    assertThat(names(OPT_SET_META_CONTEXT, "demo", queries)).hasSize(2);
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
    byte[] old = "x".repeat(1024).getBytes(UTF_8);
    volume.fill(0, old);
    snapshot.fill(0, old);
    volume.fill(512, "y".repeat(512).getBytes(UTF_8));
    client.request(CMD_BLOCK_STATUS, 0, 1, 0, 2048);
    List<Chunk> chunks = client.chunks(1);
    assertThat(chunks).hasSize(2);
    // Mapped, then a hole.
    assertThat(fields(chunks.get(0))).containsExactly(1, 1024, 0, 1024, 3);
    // Unchanged, changed, unchanged.
    assertThat(fields(chunks.get(1))).containsExactly(2, 512, 0, 512, 1, 1024, 0);
  }

  private static int[] fields(Chunk chunk) {
    int[] fields = new int[chunk.payload().length / 4];
    ByteBuffer.wrap(chunk.payload()).asIntBuffer().get(fields);
    return fields;
  }
}
