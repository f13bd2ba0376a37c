package io.plinth.bench.alloc;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/**
 * An NBD client with simple replies that keeps a fixed number of mixed requests in flight, in
 * batches: writes requests while slots are free, then reads what has arrived. All payloads are the
 * same bytes.
 */
final class MixedClient implements AutoCloseable {
  private static final int REQUEST_MAGIC = 0x25609513;
  private static final int REPLY_MAGIC = 0x67446698;
  private static final int READ = 0;
  private static final int WRITE = 1;
  private static final int DISC = 2;
  private static final int FLUSH = 3;
  private static final int TRIM = 4;
  private static final int WRITE_ZEROES = 6;
  private static final int HEADER_BYTES = 28;
  private static final int REPLY_BYTES = 16;
  private static final int SMALL_BYTES = 4096;
  private static final int LARGE_BYTES = 64 * 1024;

  private final SocketChannel channel;
  private final int depth;
  private final long blocks;
  private final SplittableRandom random;
  private final ByteBuffer out;
  private final ByteBuffer in = ByteBuffer.allocateDirect(1 << 20);
  private final byte[] payload = new byte[LARGE_BYTES];
  private final int[] replyBytes;
  private final int[] freeSlots;
  private int freeCount;
  private int skip;
  private long errors;

  MixedClient(InetSocketAddress address, String export, long sizeBytes, int depth, long seed)
      throws IOException {
    this.depth = depth;
    this.blocks = sizeBytes / SMALL_BYTES;
    this.random = new SplittableRandom(seed);
    this.out = ByteBuffer.allocateDirect(depth * (HEADER_BYTES + LARGE_BYTES));
    this.replyBytes = new int[depth];
    this.freeSlots = new int[depth];
    for (int i = 0; i < depth; i++) {
      freeSlots[i] = i;
    }
    this.freeCount = depth;
    random.nextBytes(payload);
    channel = SocketChannel.open(address);
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    negotiate(export);
  }

  /** Does so many operations, and returns when all of them are answered. */
  void run(int operations) throws IOException {
    int left = operations;
    while (left > 0 || freeCount < depth) {
      out.clear();
      // Replies of large reads may fill the sockets while we write; so few of them are in flight
      // that they fit.
      while (left > 0 && freeCount > 0) {
        putRequest();
        left--;
      }
      out.flip();
      while (out.hasRemaining()) {
        channel.write(out);
      }
      readReplies();
    }
  }

  long errors() {
    return errors;
  }

  @Override
  public void close() throws IOException {
    out.clear();
    putHeader(DISC, 0, 0, 0);
    channel.write(out.flip());
    channel.close();
  }

  private void putRequest() {
    int slot = freeSlots[--freeCount];
    int choice = random.nextInt(1000);
    int length = choice % 100 == 0 ? LARGE_BYTES : SMALL_BYTES;
    long offset = random.nextLong(blocks - length / SMALL_BYTES) * SMALL_BYTES;
    replyBytes[slot] = 0;
    if (choice < 780) {
      replyBytes[slot] = length;
      putHeader(READ, slot, offset, length);
    } else if (choice < 980) {
      putHeader(WRITE, slot, offset, length);
      out.put(payload, 0, length);
    } else if (choice < 988) {
      putHeader(TRIM, slot, offset, length);
    } else if (choice < 996) {
      putHeader(WRITE_ZEROES, slot, offset, length);
    } else {
      putHeader(FLUSH, slot, 0, 0);
    }
  }

  private void putHeader(int command, long cookie, long offset, int length) {
    out.putInt(REQUEST_MAGIC).putInt(command).putLong(cookie).putLong(offset).putInt(length);
  }

  private void readReplies() throws IOException {
    if (channel.read(in) < 0) {
      throw new EOFException("the server closed the connection");
    }
    in.flip();
    while (true) {
      int data = Math.min(skip, in.remaining());
      in.position(in.position() + data);
      skip -= data;
      if (skip > 0 || in.remaining() < REPLY_BYTES) {
        break;
      }
      if (in.getInt() != REPLY_MAGIC) {
        throw new IOException("not a simple reply");
      }
      int error = in.getInt();
      int slot = (int) in.getLong();
      freeSlots[freeCount++] = slot;
      if (error == 0) {
        skip = replyBytes[slot];
      } else {
        errors++;
      }
    }
    in.compact();
  }

  private void negotiate(String export) throws IOException {
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    read(18);
    ByteBuffer hello = ByteBuffer.allocate(26 + name.length);
    hello.putInt(3).putLong(0x49484156454f5054L).putInt(7).putInt(6 + name.length);
    hello.putInt(name.length).put(name).putShort((short) 0).flip();
    while (hello.hasRemaining()) {
      channel.write(hello);
    }
    while (true) {
      ByteBuffer reply = read(20);
      int type = reply.getInt(12);
      read(reply.getInt(16));
      if (type < 0) {
        throw new IOException("the server refuses the export: " + type);
      }
      if (type == 1) {
        return;
      }
    }
  }

  private ByteBuffer read(int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("the server closed the connection during negotiation");
      }
    }
    return buffer.flip();
  }
}
