package io.plinth.log.wire;

import io.plinth.log.format.RecordHeader;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import java.io.ByteArrayOutputStream;
import java.util.List;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/** The peer protocol as its diagrams say it, byte by byte. */
final class SlowEncoder {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private SlowEncoder() {}

  /** One message of a group. */
  record Small(int group, Message message) {}

  static byte[] messages(List<Small> all) {
    SlowEncoder body = new SlowEncoder();
    for (Small small : all) {
      Message m = small.message;
      int type;
      long[] fields;
      switch (m.type) {
        case PRE_VOTE -> {
          type = 1;
          fields = new long[] {m.term, m.epoch, m.index, m.logTerm, m.round};
        }
        case PRE_VOTE_RESPONSE -> {
          type = 2;
          fields = new long[] {m.term, m.epoch, m.round};
        }
        case REQUEST_VOTE -> {
          type = 3;
          fields = new long[] {m.term, m.epoch, m.index, m.logTerm, m.round};
        }
        case REQUEST_VOTE_RESPONSE -> {
          type = 4;
          fields = new long[] {m.term, m.epoch, m.round};
        }
        case HEARTBEAT -> {
          type = 5;
          fields =
              new long[] {
                m.term, m.epoch, m.commit, m.round, m.tick, m.recoverIncarnation, m.recoverTo
              };
        }
        case APPEND_RESPONSE -> {
          type = 6;
          fields =
              new long[] {
                m.term,
                m.epoch,
                m.index,
                m.logTerm,
                m.refusedIndex,
                m.appended,
                m.durable,
                m.round,
                m.tick
              };
        }
        default -> {
          type = 7;
          fields = new long[] {m.term, m.epoch};
        }
      }
      body.number(type, 1);
      body.number(flags(m), 1);
      body.number(8 + 8L * fields.length, 2);
      body.number(small.group, 4);
      for (long field : fields) {
        body.number(field, 8);
      }
    }
    return frame(1, 0, 0, all.size(), body.out.toByteArray(), new byte[0]);
  }

  static byte[] append(int group, Message m, Samples samples) {
    SlowEncoder body = new SlowEncoder();
    SlowEncoder payload = new SlowEncoder();
    long[] fields = {
      m.term,
      m.epoch,
      m.index,
      m.logTerm,
      m.commit,
      m.round,
      m.tick,
      m.recoverIncarnation,
      m.recoverTo
    };
    for (long field : fields) {
      body.number(field, 8);
    }
    for (int i = 0; i < m.entryCount; i++) {
      Samples.Entry entry =
          m.kinds[i] == EntryKind.PAYLOAD ? samples.entries.get(m.index + 1 + i) : null;
      body.number(List.of(EntryKind.values()).indexOf(m.kinds[i]) + 1, 1);
      body.number(entry == null ? 0 : entry.type(), 1);
      body.number(entry == null ? 0 : entry.flags(), 1);
      body.number(0, 1);
      body.number(m.subjects[i], 4);
      body.number(m.terms[i], 8);
      body.number(entry == null ? 0 : entry.firstBlock(), 8);
      body.number(entry == null ? 0 : entry.count(), 4);
      body.number(0, 4);
      if (entry != null && entry.type() == RecordHeader.WRITE) {
        body.memory(entry.trailerAddress(), 4 * entry.count());
        payload.memory(entry.payloadAddress(), 4096 * entry.count());
      } else if (entry != null && entry.type() == RecordHeader.COMMAND) {
        body.memory(entry.trailerAddress(), entry.count());
      }
      while (body.out.size() % 8 != 0) {
        body.number(0, 1);
      }
    }
    return frame(
        2, flags(m), group, m.entryCount, body.out.toByteArray(), payload.out.toByteArray());
  }

  static byte[] frame(int type, int flags, int group, int count, byte[] body, byte[] payload) {
    SlowEncoder header = new SlowEncoder();
    header.number(type, 2);
    header.number(flags, 2);
    header.number(24L + body.length, 4);
    header.number(payload.length, 4);
    header.number(group, 4);
    header.number(count, 4);
    SlowEncoder sealed = new SlowEncoder();
    sealed.out.writeBytes(header.out.toByteArray());
    sealed.number(0, 4);
    sealed.out.writeBytes(body);
    CRC32C crc = new CRC32C();
    crc.update(sealed.out.toByteArray());
    header.number(crc.getValue(), 4);
    header.out.writeBytes(body);
    header.out.writeBytes(payload);
    return header.out.toByteArray();
  }

  private static int flags(Message m) {
    int flags = 0;
    flags += m.granted ? 1 : 0;
    flags += m.recovering ? 2 : 0;
    flags += m.logOk ? 4 : 0;
    flags += m.transfer ? 8 : 0;
    flags += m.recoveryElection ? 16 : 0;
    flags += m.quiet ? 32 : 0;
    return flags;
  }

  private void number(long value, int bytes) {
    for (int i = 0; i < bytes; i++) {
      out.write((int) (value >>> (8 * i)) & 0xFF);
    }
  }

  private void memory(long address, int length) {
    byte[] bytes = new byte[length];
    new UnsafeBuffer(address, length).getBytes(0, bytes);
    out.writeBytes(bytes);
  }
}
