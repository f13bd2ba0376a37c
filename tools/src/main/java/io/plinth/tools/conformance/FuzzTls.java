package io.plinth.tools.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** What a client of a fuzz run sends for a TLS handshake: a hello, and records that are wrong. */
final class FuzzTls {
  private static final int CHANGE_CIPHER_SPEC = 20;
  private static final int ALERT = 21;
  private static final int HANDSHAKE = 22;
  private static final int APPLICATION_DATA = 23;
  private static final int TLS_1_2 = 0x0303;
  private static final int TLS_1_3 = 0x0304;
  private static final int LONGEST_FRAGMENT = 16 << 10;

  /** Suites of TLS 1.3 and 1.2, with certificates and with pre-shared keys. */
  private static final int[] SUITES = {0x1301, 0x1302, 0xc02b, 0xc02f, 0xc030, 0xd001, 0xc037};

  /** The legal maximum, what is just beyond it, and what a length can say. */
  private static final int[] LENGTHS = {
    0, 1, LONGEST_FRAGMENT, LONGEST_FRAGMENT + 2048, LONGEST_FRAGMENT + 2049, 0x7fff, 0xffff
  };

  private final SplittableRandom random;

  FuzzTls(SplittableRandom random) {
    this.random = random;
  }

  private boolean oneIn(int n) {
    return random.nextInt(n) == 0;
  }

  private byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  /** Returns records one after another; the first is mostly what a server answers. */
  List<byte[]> records() {
    List<byte[]> records = new ArrayList<>();
    if (!oneIn(5)) {
      addHello(records);
    }
    for (int i = random.nextInt(6); i > 0; i--) {
      records.add(record());
    }
    return records;
  }

  /** A hello as it is, with a bit changed, cut off, or in records of a few bytes. */
  private void addHello(List<byte[]> records) {
    byte[] hello = hello();
    if (oneIn(3)) {
      hello[random.nextInt(hello.length)] ^= (byte) (1 << random.nextInt(8));
    }
    if (oneIn(6)) {
      hello = Arrays.copyOf(hello, random.nextInt(hello.length));
    }
    int longest = oneIn(4) ? 1 + random.nextInt(40) : hello.length + 1;
    for (int at = 0; at < hello.length; at += longest) {
      byte[] fragment = Arrays.copyOfRange(hello, at, Math.min(hello.length, at + longest));
      records.add(record(HANDSHAKE, 0x0301, fragment.length, fragment));
    }
  }

  private byte[] hello() {
    Packet suites = new Packet();
    for (int suite : SUITES) {
      if (!oneIn(8)) {
        Packet _ = suites.u16(suite);
      }
    }
    Packet extensions = new Packet();
    if (!oneIn(3)) {
      extension(
          extensions, 43, new Packet().bytes(new byte[] {4}).u16(TLS_1_3).u16(TLS_1_2).toBytes());
      // Any 32 bytes are a share of x25519.
      extension(extensions, 51, new Packet().u16(36).u16(29).u16(32).bytes(bytes(32)).toBytes());
    }
    extension(extensions, 10, new Packet().u16(4).u16(29).u16(23).toBytes());
    extension(extensions, 13, new Packet().u16(6).u16(0x0804).u16(0x0403).u16(0x0401).toBytes());
    if (oneIn(3)) {
      extension(extensions, 45, new byte[] {1, 1});
      extension(extensions, random.nextInt(60), bytes(random.nextInt(100)));
      // The last one, as it must be: pre-shared keys with made-up proofs.
      byte[] identity = bytes(random.nextInt(1, 40));
      extension(
          extensions,
          41,
          new Packet()
              .u16(identity.length + 6)
              .u16(identity.length)
              .bytes(identity)
              .u32(0)
              .u16(33)
              .bytes(new byte[] {32})
              .bytes(bytes(32))
              .toBytes());
    }
    byte[] suiteBytes = suites.toBytes();
    byte[] extensionBytes = extensions.toBytes();
    byte[] body =
        new Packet()
            .u16(TLS_1_2)
            .bytes(bytes(32))
            .bytes(new byte[] {32})
            .bytes(bytes(32))
            .u16(suiteBytes.length)
            .bytes(suiteBytes)
            .bytes(new byte[] {1, 0})
            .u16(extensionBytes.length)
            .bytes(extensionBytes)
            .toBytes();
    return new Packet().u32(1 << 24 | body.length).bytes(body).toBytes();
  }

  private static void extension(Packet to, int type, byte[] data) {
    Packet _ = to.u16(type).u16(data.length).bytes(data);
  }

  private byte[] record() {
    byte[] fragment =
        switch (random.nextInt(5)) {
          case 0 -> new byte[] {1};
          case 1 -> new byte[] {(byte) (1 + random.nextInt(2)), (byte) random.nextInt(120)};
          case 2 -> new Packet().u32(random.nextInt(24) << 24 | 16).bytes(bytes(16)).toBytes();
          default -> bytes(random.nextInt(oneIn(4) ? LONGEST_FRAGMENT + 2100 : 300));
        };
    int type = CHANGE_CIPHER_SPEC + random.nextInt(APPLICATION_DATA - CHANGE_CIPHER_SPEC + 1);
    if (fragment.length == 1 && !oneIn(4)) {
      type = CHANGE_CIPHER_SPEC;
    } else if (fragment.length == 2 && !oneIn(4)) {
      type = ALERT;
    } else if (oneIn(12)) {
      type = random.nextInt(256);
    }
    int version = oneIn(8) ? random.nextInt(1 << 16) : TLS_1_2;
    int length = oneIn(8) ? LENGTHS[random.nextInt(LENGTHS.length)] : fragment.length;
    return record(type, version, length, fragment);
  }

  private static byte[] record(int type, int version, int length, byte[] fragment) {
    return new Packet()
        .bytes(new byte[] {(byte) type})
        .u16(version)
        .u16(length)
        .bytes(fragment)
        .toBytes();
  }
}
