package io.plinth.log.wire;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import io.plinth.raft.core.Message;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Streams that no correct peer sends: one clear problem, no exception, nothing wrong delivered. */
class FrameReaderFuzzTest {
  private static final int SEEDS = 3000;

  private final Samples samples = new Samples();

  @AfterEach
  void free() {
    samples.close();
  }

  /** A stream, and what a reader makes of it when it is whole. */
  private record Stream(UnsafeBuffer bytes, List<String> events) {}

  private Stream stream(SimRandom random) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    List<String> events = new ArrayList<>();
    for (int i = 1 + random.nextInt(4); i > 0; i--) {
      if (random.oneIn(2)) {
        Message message = Samples.small(random);
        bytes.writeBytes(SlowEncoder.messages(List.of(new SlowEncoder.Small(5, message))));
        events.add("5 " + Samples.text(message));
      } else {
        Message message = samples.append(random, 4, 3);
        bytes.writeBytes(SlowEncoder.append(6, message, samples));
        events.add(RecordingSink.expected(6, message, samples));
      }
    }
    return new Stream(new UnsafeBuffer(bytes.toByteArray()), events);
  }

  private static String read(byte[] bytes, SimRandom random, List<String> events) {
    RecordingSink sink = new RecordingSink();
    FrameReader reader = new FrameReader(sink);
    reader.identify(3, 4, 77);
    FramePropertyTest.readInPieces(reader, bytes, random);
    events.addAll(sink.events);
    String problem = reader.problem();
    reader.close();
    return problem;
  }

  @Test
  void aFlippedBitIsFoundBeforeAnythingOfItsFrameIsDelivered() {
    int found = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
      SimRandom random = new SimRandom(seed);
      Stream stream = stream(random);
      byte[] bytes = new byte[stream.bytes.capacity()];
      stream.bytes.getBytes(0, bytes);
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
      List<String> events = new ArrayList<>();
      String problem = read(bytes, random, events);
      assertThat(events.size()).as("seed %d", seed).isLessThan(stream.events.size());
      assertThat(events).as("seed %d", seed).isEqualTo(stream.events.subList(0, events.size()));
      // A length that grew waits for more.
      if (problem != null) {
        found++;
        assertThat(problem).as("seed %d", seed).matches("frame of type \\d+: [^\\n]{10,200}");
      }
    }
    assertThat(found).isGreaterThan(SEEDS * 9 / 10);
  }

  @Test
  void aStreamThatIsCutDeliversWhatIsWhole() {
    for (int seed = 0; seed < SEEDS; seed++) {
      SimRandom random = new SimRandom(seed);
      Stream stream = stream(random);
      byte[] bytes = new byte[random.nextInt(stream.bytes.capacity())];
      stream.bytes.getBytes(0, bytes);
      List<String> events = new ArrayList<>();
      assertThat(read(bytes, random, events)).as("seed %d", seed).isNull();
      assertThat(events.size()).as("seed %d", seed).isLessThan(stream.events.size());
      assertThat(events).as("seed %d", seed).isEqualTo(stream.events.subList(0, events.size()));
    }
  }

  @Test
  void randomBytesDeliverNothing() {
    for (int seed = 0; seed < SEEDS; seed++) {
      SimRandom random = new SimRandom(seed);
      byte[] bytes = new byte[1 + random.nextInt(300)];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = (byte) (random.oneIn(2) ? 0 : random.nextLong());
      }
      List<String> events = new ArrayList<>();
      String _ = read(bytes, random, events);
      assertThat(events).as("seed %d", seed).isEmpty();
    }
  }

  /** The checksum is right: whoever made it means harm, or has a bug. */
  @Test
  void impossibleFieldsUnderARightChecksumAreFound() {
    int problems = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
      SimRandom random = new SimRandom(seed);
      Message message = samples.append(random, 4, 3);
      byte[] bytes =
          random.oneIn(2)
              ? SlowEncoder.append(6, message, samples)
              : SlowEncoder.messages(List.of(new SlowEncoder.Small(5, Samples.small(random))));
      UnsafeBuffer buffer = new UnsafeBuffer(bytes);
      int headerBytes = FrameHeader.headerBytes(buffer, 0);
      for (int i = 1 + random.nextInt(3); i > 0; i--) {
        // Also the lengths and the count of the frame.
        int at = random.nextInt(headerBytes / 4) * 4;
        buffer.putInt(at, random.oneIn(2) ? -1 - random.nextInt(9) : random.nextInt(5000));
      }
      int covered = Math.clamp(FrameHeader.headerBytes(buffer, 0), 24, bytes.length);
      buffer.putInt(FrameHeader.CRC_OFFSET, 0);
      CRC32C crc = new CRC32C();
      crc.update(bytes, 0, covered);
      FrameHeader.crc(buffer, 0, (int) crc.getValue());
      List<String> events = new ArrayList<>();
      String problem = read(bytes, random, events);
      if (problem != null) {
        problems++;
        assertThat(problem).as("seed %d", seed).matches("frame of type \\d+: [^\\n]{10,200}");
        assertThat(events).as("seed %d", seed).isEmpty();
      }
    }
    // Many fields may have any value.
    assertThat(problems).isGreaterThan(SEEDS / 4);
  }
}
