package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_DISC;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_PAYLOAD_LEN;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.OPT_ABORT;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXPORT_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXTENDED_HEADERS;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.REP_ACK;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Random clients against a random server, from seeds: well-framed clients get exactly one reply to
 * each request whatever its fields say; clients that send corrupted bytes may be disconnected; and
 * in the end nothing is held. A failure prints the properties that replay it.
 */
@Timeout(3600) // by hand it has many seeds
class NbdFuzzTest {
  private static final long FIRST_SEED = Long.getLong("plinth.nbd.fuzz.first", 0);
  private static final int SEEDS = Integer.getInteger("plinth.nbd.fuzz.seeds", 400);
  private static final int SIZE = 4 << 20;
  private static final long SECOND_NS = 1_000_000_000L;
  private static final List<Split> SPLITS = List.of(Split.WHOLE, Split.BYTES, Split.RANDOM);
  private static final List<ReplyFormat> FORMATS = List.of(ReplyFormat.values());
  private static final int[] STATUSES = {
    Status.OK, Status.OK, Status.OK, Status.OK, Status.EIO, Status.ENOSPC, Status.ENOTSUP
  };

  @Test
  void framedClientsStayInSyncAndNothingLeaks() {
    for (long seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      try {
        new Run(seed).play();
      } catch (RuntimeException | AssertionError e) {
        throw new AssertionError(
            "replay: -Dplinth.nbd.fuzz.seeds=1 -Dplinth.nbd.fuzz.first=" + seed, e);
      }
    }
  }

  /** A client that keeps to the framing, or breaks it now and then. */
  private static final class Actor {
    final TestClient client;
    final boolean corrupt;
    final ReplyFormat format;
    final Map<Long, long[]> sent = new HashMap<>();
    long nextCookie = 1;

    Actor(TestClient client, boolean corrupt, ReplyFormat format) {
      this.client = client;
      this.corrupt = corrupt;
      this.format = format;
    }

    boolean isExtended() {
      return format == ReplyFormat.EXTENDED;
    }
  }

  private static final class Run {
    private final SplittableRandom random;
    private final TestServer server;
    private final List<Actor> actors = new ArrayList<>();

    Run(long seed) {
      random = new SplittableRandom(seed);
      NbdLimits limits =
          new NbdLimits(
              1 << 20,
              512 * random.nextInt(1, 121),
              random.nextInt(1, 20),
              random.nextInt(1, 40),
              random.nextInt(1 << 20, 3 << 20),
              20,
              16 << 10,
              64 << 10,
              100,
              random.nextInt(1, 2000),
              10 * SECOND_NS,
              3600 * SECOND_NS,
              10 * SECOND_NS,
              20,
              0,
              random.nextBoolean());
      server = new TestServer(limits, 2, random.nextInt(4, 12));
      server.connectionEntries = random.nextInt(4, 40);
      server.volume("near", 0, SIZE);
      server.volume("far", 1, SIZE);
    }

    void play() {
      int count = random.nextInt(1, 6);
      for (int i = 0; i < count; i++) {
        actors.add(negotiate());
      }
      int steps = random.nextInt(10, 200);
      for (int i = 0; i < steps; i++) {
        step();
      }
      settle();
      for (Actor actor : actors) {
        if (!actor.corrupt) {
          checkInSync(actor);
        }
      }
      server.close();
    }

    private Actor negotiate() {
      Split split = SPLITS.get(random.nextInt(SPLITS.size()));
      TestClient client = server.connect(split);
      ReplyFormat wanted = FORMATS.get(random.nextInt(FORMATS.size()));
      String name = random.nextBoolean() ? "near" : "far";
      client.greet();
      for (int i = random.nextInt(4); i > 0; i--) {
        randomOption(client);
      }
      if (wanted.hasChunks()) {
        int form =
            wanted == ReplyFormat.EXTENDED
                ? OPT_EXTENDED_HEADERS
                : NbdProtocol.OPT_STRUCTURED_REPLY;
        client.option(form).expectAck(form);
        int set = NbdProtocol.OPT_SET_META_CONTEXT;
        client.option(set, TestClient.contextData(name, "base:allocation"));
        client.repliesUntilAck(set);
      }
      // The random options may have negotiated structured replies already.
      client.option(OPT_GO, TestClient.infoData(name));
      int flags = TestClient.exportInfo(client.repliesUntilAck(OPT_GO)).flags();
      boolean chunks = (flags & NbdProtocol.FLAG_SEND_DF) != 0;
      ReplyFormat format = chunks && wanted == ReplyFormat.SIMPLE ? ReplyFormat.STRUCTURED : wanted;
      return new Actor(client, random.nextInt(3) == 0, format);
    }

    private void randomOption(TestClient client) {
      int option = random.nextInt(12);
      if (option == OPT_EXPORT_NAME
          || option == OPT_ABORT
          || option == OPT_GO
          || option == OPT_EXTENDED_HEADERS) {
        option += 100;
      }
      byte[] data = new byte[random.nextInt(3) == 0 ? random.nextInt(65_000) : random.nextInt(40)];
      if (random.nextBoolean()) {
        random.nextBytes(data);
      }
      client.option(option, data);
      TestClient.OptionReply reply = client.optionReply();
      while (reply.type() > REP_ACK) {
        reply = client.optionReply();
      }
      assertThat(reply.option()).isEqualTo(option);
    }

    private void step() {
      Actor actor = actors.get(random.nextInt(actors.size()));
      MemoryVolume volume = server.volumes.get(random.nextInt(server.volumes.size()));
      switch (random.nextInt(20)) {
        case 0 -> volume.immediate = !volume.immediate;
        case 1 -> volume.completeInRandomOrder(random);
        case 2 -> volume.refusals = random.nextInt(4);
        case 3 -> volume.becomeReady();
        case 4 -> volume.status = STATUSES[random.nextInt(STATUSES.length)];
        case 5 -> volume.rangeBytes = 512 << random.nextInt(12);
        case 6 -> actor.client.link().willRead = random.nextInt(200_000);
        case 7 -> server.run();
        case 8 -> {
          if (actor.corrupt) {
            actor.client.hangUp();
          }
        }
        default -> request(actor);
      }
      if (random.nextBoolean()) {
        server.cores.forEach(FakeCore::cycle);
      }
    }

    private void request(Actor actor) {
      int command = random.nextInt(20) == 0 ? random.nextInt(1 << 16) : random.nextInt(8);
      if (command == CMD_DISC) {
        command = CMD_READ;
      }
      int flags = random.nextInt(4) == 0 ? 1 << random.nextInt(16) : random.nextInt(2);
      long offset = 512L * random.nextInt(SIZE / 512);
      long length = 512L * random.nextInt(random.nextInt(5) == 0 ? 2200 : 40);
      if (random.nextInt(10) == 0) {
        offset = random.nextLong();
      }
      if (random.nextInt(10) == 0) {
        length = random.nextInt(1 << 20);
      }
      if (random.nextInt(20) == 0 && command != CMD_WRITE) {
        length = random.nextInt() & 0xffffffffL;
      }
      if (actor.isExtended() && command == CMD_WRITE) {
        flags |= CMD_FLAG_PAYLOAD_LEN;
      }
      boolean hasPayload =
          command == CMD_WRITE || (actor.isExtended() && (flags & CMD_FLAG_PAYLOAD_LEN) != 0);
      if (hasPayload) {
        length = Math.min(length, 1 << 20);
      } else if (actor.isExtended() && random.nextInt(20) == 0) {
        length = random.nextLong();
      }
      byte[] payload = new byte[hasPayload ? (int) length : 0];
      random.nextBytes(payload);
      if (hasPayload && command == CMD_BLOCK_STATUS && random.nextBoolean()) {
        payload = ByteBuffer.allocate(12).putLong(4096).putInt(random.nextInt(3)).array();
        length = payload.length;
      }
      long cookie = actor.nextCookie++;
      byte[] header =
          actor.isExtended()
              ? TestClient.extendedRequestBytes(command, flags, cookie, offset, length)
              : TestClient.requestBytes(command, flags, cookie, offset, length);
      if (actor.corrupt && random.nextInt(4) == 0) {
        header[random.nextInt(header.length)] ^= (byte) (1 << random.nextInt(8));
      }
      actor.sent.put(cookie, new long[] {command, length, offset});
      actor.client.send(header).send(payload);
    }

    private void settle() {
      for (Actor actor : actors) {
        actor.client.link().willRead = Long.MAX_VALUE;
        if (actor.corrupt) {
          // Whatever is half done goes away with its client.
          actor.client.hangUp();
        }
      }
      for (MemoryVolume volume : server.volumes) {
        volume.refusals = 0;
        volume.immediate = false;
      }
      boolean busy = true;
      while (busy) {
        server.run();
        busy = false;
        for (MemoryVolume volume : server.volumes) {
          busy |= volume.pendingCount() + volume.listenerCount() > 0;
          volume.completeInRandomOrder(random);
          volume.becomeReady();
        }
      }
    }

    private void checkInSync(Actor actor) {
      TestClient client = actor.client;
      ask(actor, CMD_FLUSH);
      actor.sent.put(0L, new long[] {CMD_FLUSH, 0, 0});
      server.run();
      server.volumes.forEach(MemoryVolume::completeAll);
      while (!actor.sent.isEmpty()) {
        if (actor.format.hasChunks()) {
          takeChunks(actor);
        } else {
          takeSimple(actor);
        }
      }
      client.expectQuiet();
      ask(actor, CMD_DISC);
      client.expectClosed();
    }

    private static void ask(Actor actor, int command) {
      if (actor.isExtended()) {
        actor.client.extendedRequest(command, 0, 0, 0, 0);
      } else {
        actor.client.request(command, 0, 0, 0, 0);
      }
    }

    private void takeSimple(Actor actor) {
      TestClient.Simple reply = actor.client.simple();
      long[] request = actor.sent.remove(reply.cookie());
      assertThat(request).as("a request with cookie %d", reply.cookie()).isNotNull();
      if (request[0] == CMD_READ && reply.error() == 0) {
        actor.client.data((int) request[1]);
      }
    }

    private void takeChunks(Actor actor) {
      if (!actor.isExtended() && actor.client.nextIsSimple()) {
        TestClient.Simple reply = actor.client.simple();
        long[] request = actor.sent.remove(reply.cookie());
        assertThat(request).as("a request with cookie %d", reply.cookie()).isNotNull();
        assertThat(request[0]).as("simple reply").isNotIn((long) CMD_READ, (long) CMD_BLOCK_STATUS);
        assertThat(reply.error()).isZero();
        return;
      }
      long covered = 0;
      TestClient.Chunk chunk = chunk(actor);
      long[] request = actor.sent.remove(chunk.cookie());
      assertThat(request).as("a request with cookie %d", chunk.cookie()).isNotNull();
      long cookie = chunk.cookie();
      while (true) {
        assertThat(chunk.cookie()).isEqualTo(cookie);
        if (chunk.type() == NbdProtocol.REPLY_TYPE_OFFSET_DATA
            || chunk.type() == NbdProtocol.REPLY_TYPE_OFFSET_HOLE) {
          assertThat(chunk.buffer().getLong()).isEqualTo(request[2] + covered);
        }
        covered +=
            switch (chunk.type()) {
              case NbdProtocol.REPLY_TYPE_OFFSET_DATA -> chunk.payload().length - 8;
              case NbdProtocol.REPLY_TYPE_OFFSET_HOLE -> chunk.buffer().getInt(8);
              default -> request[1];
            };
        if (chunk.done()) {
          break;
        }
        chunk = chunk(actor);
      }
      assertThat(covered).as("cover").isEqualTo(request[1]);
    }

    private static TestClient.Chunk chunk(Actor actor) {
      if (!actor.isExtended()) {
        return actor.client.chunk();
      }
      TestClient.ExtendedChunk extended = actor.client.extendedChunk();
      long[] request = actor.sent.get(extended.chunk().cookie());
      if (request != null) {
        assertThat(extended.offset()).as("offset of the request").isEqualTo(request[2]);
      }
      return extended.chunk();
    }
  }
}
