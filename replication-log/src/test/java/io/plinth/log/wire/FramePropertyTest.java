package io.plinth.log.wire;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Connection;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.RecordHeader;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.util.ArrayList;
import java.util.List;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Frames against {@link SlowEncoder}, and read back in pieces of any length. */
class FramePropertyTest {
  private final Samples samples = new Samples();
  private final Collector collector = new Collector();
  private final Pipe pipe = new Pipe(connection -> new Collector(), connection -> collector);
  private final FrameWriter writer = new FrameWriter();
  private final RecordingSink sink = new RecordingSink();
  private final FrameReader reader = new FrameReader(sink);

  FramePropertyTest() {
    reader.identify(3, 4, 77);
  }

  @AfterEach
  void free() {
    samples.close();
    writer.close();
    reader.close();
  }

  @Test
  void messagesOfManyGroupsLeaveInOneFrame() {
    for (int seed = 0; seed < 500; seed++) {
      SimRandom random = new SimRandom(seed);
      List<SlowEncoder.Small> all = new ArrayList<>();
      List<String> expected = new ArrayList<>();
      for (int i = 1 + random.nextInt(40); i > 0; i--) {
        int group = random.nextInt(5) == 0 ? (int) random.nextLong() : random.nextInt(9);
        Message message = Samples.small(random);
        all.add(new SlowEncoder.Small(group, message));
        expected.add(group + " " + Samples.text(message));
        assertThat(writer.add(pipe.near, group, message)).isTrue();
      }
      assertThat(writer.flush(pipe.near)).isTrue();
      byte[] bytes = arrived();
      assertThat(bytes).as("seed %d", seed).isEqualTo(SlowEncoder.messages(all));
      assertThat(read(bytes, random)).as("seed %d", seed).isEqualTo(expected);
    }
  }

  @Test
  void entriesLeaveWithTheirPayload() {
    for (int seed = 0; seed < 500; seed++) {
      SimRandom random = new SimRandom(seed);
      Message message = samples.append(random, 12, seed % 50 == 0 ? 300 : 5);
      int group = random.nextInt(1000);
      assertThat(writer.append(pipe.near, group, message, 0, samples))
          .isEqualTo(message.entryCount);
      byte[] bytes = arrived();
      assertThat(bytes).as("seed %d", seed).isEqualTo(SlowEncoder.append(group, message, samples));
      assertThat(read(bytes, random))
          .as("seed %d", seed)
          .containsExactly(RecordingSink.expected(group, message, samples));
      assertThat(samples.pins).as("loans that have not ended").isEmpty();
    }
  }

  /** What does not fit one frame goes on in the next as an APPEND of its own. */
  @Test
  void anAppendThatDoesNotFitOneFrameIsSentInSeveral() {
    SimRandom random = new SimRandom(1);
    Message message = new Message().reset(MessageType.APPEND, 3, 4);
    message.incarnation = 77;
    message.index = 10;
    message.logTerm = 5;
    for (int i = 0; i < 4; i++) {
      samples.put(11 + i, RecordHeader.COMMAND, 0, 0, 20_000, random);
      message.addEntry(6 + i, EntryKind.PAYLOAD, -1, -1, 20_000);
    }
    assertThat(writer.append(pipe.near, 1, message, 0, samples)).isEqualTo(2);
    List<String> first = read(arrived(), random);
    assertThat(writer.append(pipe.near, 1, message, 2, samples)).isEqualTo(2);
    List<String> second = read(arrived(), random);
    assertThat(first.get(0)).startsWith("1 APPEND 3>4 0 77 10 5 ");
    assertThat(second.get(0)).startsWith("1 APPEND 3>4 0 77 12 7 ");
    assertThat(first.get(0)).contains("PAYLOAD:6:").contains("PAYLOAD:7:").doesNotContain(":8:");
    assertThat(second.get(0)).contains("PAYLOAD:8:").contains("PAYLOAD:9:").doesNotContain(":7:");
  }

  @Test
  void theLongestWriteFitsOneFrame() {
    SimRandom random = new SimRandom(1);
    Message message = new Message().reset(MessageType.APPEND, 3, 4);
    message.incarnation = 77;
    samples.put(1, RecordHeader.WRITE, 0, 5, 8192, random);
    message.addEntry(1, EntryKind.PAYLOAD, -1, -1, 32 << 20);
    assertThat(writer.append(pipe.near, 1, message, 0, samples)).isEqualTo(1);
    while (collector.size() < (32 << 20) + 32_000) {
      pipe.step();
    }
    pipe.pass();
    assertThat(read(collector.take(), random))
        .containsExactly(RecordingSink.expected(1, message, samples));
  }

  @Test
  void entriesThatAreNotInMemoryAreLeftOut() {
    SimRandom random = new SimRandom(1);
    Message message = new Message().reset(MessageType.APPEND, 3, 4);
    samples.put(1, RecordHeader.WRITE, 0, 5, 1, random);
    message.addEntry(1, EntryKind.PAYLOAD, -1, -1, 4096);
    message.addEntry(1, EntryKind.PAYLOAD, -1, -1, 4096);
    assertThat(writer.append(pipe.near, 1, message, 0, samples)).isEqualTo(1);
    assertThat(writer.append(pipe.near, 1, message, 1, samples))
        .isEqualTo(FrameWriter.NOT_IN_MEMORY);
  }

  @Test
  void withoutRoomNothingIsQueuedOrLent() {
    SimRandom random = new SimRandom(1);
    Message message = new Message().reset(MessageType.APPEND, 3, 4);
    samples.put(1, RecordHeader.WRITE, 0, 5, 1, random);
    message.addEntry(1, EntryKind.PAYLOAD, -1, -1, 4096);
    while (pipe.near.claim(Connection.MAX_CLAIM_BYTES) >= 0) {}
    assertThat(writer.append(pipe.near, 1, message, 0, samples)).isEqualTo(FrameWriter.NO_ROOM);
    assertThat(samples.pins).isEmpty();
    assertThat(writer.add(pipe.near, 1, Samples.small(random))).isTrue();
    assertThat(writer.flush(pipe.near)).isFalse();
    int added = 1;
    while (writer.add(pipe.near, 1, Samples.small(random))) {
      added++;
    }
    int filled = arrived().length;
    assertThat(filled).isEqualTo(2 * Connection.MAX_CLAIM_BYTES);
    assertThat(writer.flush(pipe.near)).isTrue();
    assertThat(read(arrived(), random)).hasSize(added);
  }

  private byte[] arrived() {
    int before = -1;
    while (collector.size() != before || before == 0) {
      before = collector.size();
      pipe.pass();
    }
    return collector.take();
  }

  private List<String> read(byte[] bytes, SimRandom random) {
    sink.events.clear();
    readInPieces(reader, bytes, random);
    assertThat(reader.problem()).isNull();
    return List.copyOf(sink.events);
  }

  /** Feeds a reader as a connection does, with pieces of any length, some straight to memory. */
  static void readInPieces(FrameReader reader, byte[] bytes, SimRandom random) {
    UnsafeBuffer buffer = new UnsafeBuffer(bytes);
    int start = 0;
    int end = 0;
    while (end < bytes.length && reader.problem() == null) {
      int direct = reader.directBytes();
      if (start == end && direct > 0 && bytes.length - end >= direct && random.oneIn(2)) {
        new UnsafeBuffer(reader.directAddress(), direct).putBytes(0, bytes, end, direct);
        end += direct;
        start = end;
        reader.directReceived();
        continue;
      }
      end += 1 + random.nextInt(Math.min(bytes.length - end, 1 << random.nextInt(17)));
      start += reader.read(buffer, start, end - start);
    }
  }
}
