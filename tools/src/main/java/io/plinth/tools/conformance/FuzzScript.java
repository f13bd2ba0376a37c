package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * What one client of a fuzz run says: a handshake and requests that are nearly right. It follows
 * from seed and number alone, so that a case can be played again.
 *
 * @param pieces what is sent at a time
 * @param reads it takes what the server answers
 * @param lingers it waits a little before it closes
 */
record FuzzScript(List<byte[]> pieces, boolean reads, boolean lingers) {
  private static final int SECTOR = 512;
  private static final int LONGEST_WRITE = 300_000;
  private static final int[] LENGTHS = {0, 1, 511, 512, 4096, 65_536, 1 << 20, (1 << 25) + 512};
  private static final int[] OPTIONS = {
    Nbd.OPT_LIST,
    Nbd.OPT_INFO,
    Nbd.OPT_GO,
    Nbd.OPT_STRUCTURED_REPLY,
    Nbd.OPT_LIST_META_CONTEXT,
    Nbd.OPT_SET_META_CONTEXT,
    Nbd.OPT_EXTENDED_HEADERS,
    Nbd.OPT_STARTTLS,
    Nbd.OPT_PEEK_EXPORT,
    Nbd.OPT_ABORT,
    Nbd.OPT_EXPORT_NAME
  };

  /** Returns the client of a number. */
  static FuzzScript of(long seed, long number, String export, long size) {
    return new Writer(new SplittableRandom(seed * 0x9e3779b97f4a7c15L + number), export, size)
        .write();
  }

  private static final class Writer {
    private final SplittableRandom random;
    private final String export;
    private final long size;
    private final List<byte[]> messages = new ArrayList<>();
    private boolean extended;

    Writer(SplittableRandom random, String export, long size) {
      this.random = random;
      this.export = export;
      this.size = size;
    }

    FuzzScript write() {
      int flags = oneIn(12) ? random.nextInt() : random.nextInt(4) | Nbd.FIXED_NEWSTYLE;
      messages.add(new Packet().u32(flags).toBytes());
      for (int i = random.nextInt(5); i > 0; i--) {
        option(OPTIONS[random.nextInt(oneIn(8) ? OPTIONS.length : OPTIONS.length - 2)]);
      }
      if (oneIn(5)) {
        messages.add(Packet.option(Nbd.OPT_STARTTLS, new byte[0]));
        messages.addAll(new FuzzTls(random).records());
        return new FuzzScript(cut(damaged()), !oneIn(6), oneIn(2));
      }
      extended = oneIn(3);
      if (extended) {
        messages.add(Packet.option(Nbd.OPT_EXTENDED_HEADERS, new byte[0]));
      } else if (oneIn(2)) {
        messages.add(Packet.option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]));
      }
      messages.add(Packet.option(Nbd.OPT_SET_META_CONTEXT, Packet.meta(export, Nbd.ALLOCATION)));
      messages.add(Packet.option(Nbd.OPT_GO, Packet.info(export, Nbd.INFO_BLOCK_SIZE)));
      for (int i = random.nextInt(60); i > 0; i--) {
        request();
      }
      return new FuzzScript(cut(damaged()), !oneIn(6), oneIn(2));
    }

    private boolean oneIn(int n) {
      return random.nextInt(n) == 0;
    }

    private void option(int option) {
      byte[] data =
          switch (option) {
            case Nbd.OPT_INFO, Nbd.OPT_GO ->
                Packet.info(oneIn(2) ? export : "x".repeat(random.nextInt(5000)), 0, 3);
            case Nbd.OPT_LIST_META_CONTEXT, Nbd.OPT_SET_META_CONTEXT ->
                Packet.meta(export, oneIn(2) ? Nbd.ALLOCATION : "base:", "qemu:dirty-bitmap:");
            default -> bytes(oneIn(3) ? random.nextInt(70_000) : 0);
          };
      messages.add(Packet.option(oneIn(20) ? random.nextInt() : option, data));
    }

    private void request() {
      int command = oneIn(20) ? random.nextInt(1 << 16) : random.nextInt(9);
      int flags = oneIn(4) ? 1 << random.nextInt(16) : random.nextInt(2);
      long offset =
          oneIn(10) ? random.nextLong() : SECTOR * random.nextLong(Math.max(1, size / SECTOR));
      long length =
          oneIn(4) ? LENGTHS[random.nextInt(LENGTHS.length)] : SECTOR * random.nextInt(64);
      if (oneIn(12)) {
        length = random.nextLong();
      }
      byte[] payload = new byte[0];
      boolean carries = extended && (flags & Nbd.PAYLOAD_LEN) != 0;
      if (command == Nbd.WRITE || carries) {
        flags |= extended ? Nbd.PAYLOAD_LEN : 0;
        // Now and then less is sent than was announced.
        payload = bytes(Math.clamp(length, 0, LONGEST_WRITE));
      }
      Packet header =
          new Packet()
              .u32(extended ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC)
              .u16(flags)
              .u16(command)
              .u64(random.nextLong())
              .u64(offset);
      messages.add((extended ? header.u64(length) : header.u32((int) length)).toBytes());
      messages.add(payload);
    }

    private byte[] bytes(int length) {
      byte[] bytes = new byte[length];
      random.nextBytes(bytes);
      return bytes;
    }

    /** Returns all of it as one stream, in which every other client has something broken. */
    private byte[] damaged() {
      boolean breaks = oneIn(2);
      ByteArrayOutputStream stream = new ByteArrayOutputStream();
      for (byte[] message : messages) {
        byte[] sent = message;
        if (breaks && message.length > 0 && oneIn(15)) {
          switch (random.nextInt(4)) {
            case 0 -> sent = Arrays.copyOf(message, random.nextInt(message.length));
            case 1 -> stream.writeBytes(message);
            case 2 -> stream.writeBytes(bytes(random.nextInt(40)));
            default -> {
              sent = message.clone();
              sent[random.nextInt(Math.min(sent.length, 40))] ^= (byte) (1 << random.nextInt(8));
            }
          }
        }
        stream.writeBytes(sent);
      }
      return stream.toByteArray();
    }

    private List<byte[]> cut(byte[] stream) {
      // Some leave in the middle of a word.
      int end = oneIn(3) ? random.nextInt(stream.length + 1) : stream.length;
      int longest = oneIn(3) ? 40 : 200_000;
      List<byte[]> pieces = new ArrayList<>();
      for (int at = 0; at < end; ) {
        // Whoever sends a few bytes at a time does not go on like that for long.
        int limit = pieces.size() > 200 ? 200_000 : longest;
        int next = Math.min(end, at + 1 + random.nextInt(limit));
        pieces.add(Arrays.copyOfRange(stream, at, next));
        at = next;
      }
      return pieces;
    }
  }
}
