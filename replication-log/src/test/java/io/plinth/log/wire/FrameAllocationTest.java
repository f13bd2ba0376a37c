package io.plinth.log.wire;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.RecordHeader;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.lang.management.ManagementFactory;
import java.util.concurrent.Executor;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Garbage of a frame: made, put on a connection, read. */
class FrameAllocationTest {
  private static final int WARM_UP = 100_000;
  private static final int FRAMES = 100_000;

  private final Samples samples = new Samples();
  private final FrameWriter writer = new FrameWriter();
  private final Counter counter = new Counter();
  private final FrameReader reader = new FrameReader(counter);
  private final Loop loop = new Loop();
  private long payload;
  private final EntryBody last = new EntryBody();

  @AfterEach
  void free() {
    samples.close();
    writer.close();
    reader.close();
  }

  @Test
  void aFrameAllocatesAtMostOneByte() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    SimRandom random = new SimRandom(1);
    Message append = new Message().reset(MessageType.APPEND, 1, 2);
    // In a row, so that the three leave as one loan.
    payload = samples.put(1, RecordHeader.WRITE, 0, 1, 3, random).payloadAddress();
    for (int i = 1; i <= 3; i++) {
      append.addEntry(1, EntryKind.PAYLOAD, -1, -1, 4096);
    }
    Message answer = new Message().reset(MessageType.APPEND_RESPONSE, 1, 2);
    Message heartbeat = new Message().reset(MessageType.HEARTBEAT, 1, 2);
    run(append, answer, heartbeat, WARM_UP);
    long before = threads.getCurrentThreadAllocatedBytes();
    run(append, answer, heartbeat, FRAMES);
    long bytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertThat(counter.entries).isEqualTo(3 * (WARM_UP + FRAMES));
    assertThat(counter.messages).isEqualTo(2 * (WARM_UP + FRAMES));
    assertThat(bytes).isLessThanOrEqualTo(FRAMES);
  }

  private void run(Message append, Message answer, Message heartbeat, int frames) {
    for (int i = 0; i < frames; i++) {
      boolean _ = writer.add(loop, 1, answer);
      boolean _ = writer.add(loop, 2, heartbeat);
      boolean _ = writer.flush(loop);
      int _ = writer.append(loop, 1, append, 0, counter);
      int _ = reader.read(loop.ring, 0, loop.end);
      loop.end = 0;
    }
  }

  private final class Counter implements FrameSink, EntrySource {
    int messages;
    int entries;

    @Override
    public void onMessage(int group, Message message) {
      messages++;
    }

    @Override
    public void onSync(int group, long index) {}

    @Override
    public boolean onAppend(AppendFrame frame) {
      while (frame.next(last)) {
        entries++;
      }
      return true;
    }

    @Override
    public void onResync(ResyncFrame frame) {}

    @Override
    public void onRefused(int frameType, int messageType, int peerVersion) {}

    @Override
    public void onUnknown(int frameType, int messageType) {}

    @Override
    public boolean describe(long index, EntryBody body) {
      body.type = RecordHeader.WRITE;
      body.count = 1;
      body.trailerAddress = samples.memory.address() + 4 * (index - 1);
      body.payloadAddress = payload + 4096 * (index - 1);
      return true;
    }

    @Override
    public long pin(EntryBody body) {
      return 1;
    }

    @Override
    public void release(long token) {}
  }

  /** A connection of which all output can be read at once. */
  private static final class Loop implements Connection {
    final UnsafeBuffer ring = new UnsafeBuffer(new byte[256 * 1024]);
    private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
    int end;

    @Override
    public long id() {
      return 0;
    }

    @Override
    public String peer() {
      return "loop";
    }

    @Override
    public Core core() {
      return null;
    }

    @Override
    public MutableDirectBuffer outputBuffer() {
      return ring;
    }

    @Override
    public boolean canSend(int claimBytes, int references) {
      return true;
    }

    @Override
    public int claim(int length) {
      end += length;
      return end - length;
    }

    @Override
    public boolean send(long address, int length, Releasable owner, long token) {
      view.wrap(address, length);
      ring.putBytes(end, view, 0, length);
      end += length;
      owner.release(token);
      return true;
    }

    @Override
    public void receiveDirect(long address, int length) {}

    @Override
    public void pauseReceive() {}

    @Override
    public void resumeReceive() {}

    @Override
    public boolean hasEnded() {
      return false;
    }

    @Override
    public void moveTo(Core target) {}

    @Override
    public void startTls(TlsEngine engine, Executor helpers) {}

    @Override
    public TlsEngine tls() {
      return null;
    }

    @Override
    public void closeAfterFlush() {}

    @Override
    public void close() {}
  }
}
