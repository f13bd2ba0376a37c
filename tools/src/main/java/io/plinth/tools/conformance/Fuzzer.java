package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Lets clients that say nearly the right thing loose on a server, one after another, and looks in
 * between whether others are still served: a connection that is there from the beginning, and a new
 * one.
 */
public final class Fuzzer {
  private static final int CASES_PER_LOOK = 50;
  private static final int SEND_MS = 300;
  private static final int LINGER_MS = 5;
  private static final int LOOK_MS = 5_000;
  private static final int READ_BYTES = 64 << 10;
  private static final int COOKIE = 0x706c696e;
  private static final long PROGRESS_NS = TimeUnit.SECONDS.toNanos(10);

  private final NbdUri uri;
  private final String other;
  private final long seed;
  private final ByteBuffer received = ByteBuffer.allocate(READ_BYTES);
  private ClientConnection steady;
  private long size;
  private byte[] content;

  /**
   * What came of it.
   *
   * @param cases how many clients there were
   * @param problem what went wrong with the others, or empty
   * @param suspect the first case that may have caused it
   */
  public record Outcome(long cases, String problem, long suspect) {}

  /**
   * Prepares a run.
   *
   * @param other another export of the same server, whose content must stay as it is; empty when
   *     there is none
   */
  public Fuzzer(NbdUri uri, String other, long seed) {
    this.uri = uri;
    this.other = other;
    this.seed = seed;
  }

  /**
   * Plays cases until their number or the time is used up, or the server fails the others.
   *
   * @param first number of the first case
   * @param cases how many at most
   * @param progress told a line every few seconds
   * @throws IOException when the server can't be reached in the first place
   */
  public Outcome run(long first, long cases, long seconds, Consumer<String> progress)
      throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    try (ClientConnection connection = open(other.isEmpty() ? uri.export() : other)) {
      steady = connection;
      content = read(connection);
      open(uri.export()).close();
      long looked = first;
      long told = System.nanoTime();
      long number = first;
      while (number < first + cases && System.nanoTime() - end < 0) {
        play(FuzzScript.of(seed, number, uri.export(), size));
        number++;
        if (number - looked == CASES_PER_LOOK || number == first + cases) {
          String problem = look();
          if (!problem.isEmpty()) {
            return new Outcome(number - first, problem, looked);
          }
          looked = number;
        }
        if (System.nanoTime() - told > PROGRESS_NS) {
          told = System.nanoTime();
          progress.accept((number - first) + " cases");
        }
      }
      return new Outcome(number - first, look(), looked);
    }
  }

  private void play(FuzzScript script) {
    // What a client that breaks the rules gets is its own affair.
    try (Wire wire = SocketWire.connect(uri, Deadline.inMs(LOOK_MS))) {
      for (byte[] piece : script.pieces()) {
        wire.write(ByteBuffer.wrap(piece), Deadline.inMs(SEND_MS));
        if (script.reads() && !drain(wire, 0)) {
          return;
        }
      }
      if (script.lingers()) {
        boolean _ = drain(wire, LINGER_MS);
      }
    } catch (IOException _) {
      // It was disconnected, or not listened to.
    }
  }

  /** Takes what has come; false at the end of the stream. */
  private boolean drain(Wire wire, int milliseconds) throws IOException {
    try {
      while (true) {
        received.clear();
        if (wire.read(received, Deadline.inMs(milliseconds)) < 0) {
          return false;
        }
      }
    } catch (NoAnswerException _) {
      return true;
    }
  }

  /** Returns what is wrong with the others, or nothing. */
  private String look() {
    try {
      byte[] now = read(steady);
      if (!other.isEmpty() && !Arrays.equals(now, content)) {
        return "the content of " + other + " has changed";
      }
    } catch (IOException e) {
      return "a connection from before: " + e.getMessage();
    }
    try (ClientConnection connection = open(uri.export())) {
      byte[] _ = read(connection);
    } catch (IOException e) {
      return "a new connection: " + e.getMessage();
    }
    return "";
  }

  /** Opens an export with simple replies, and notes how long it is. */
  private ClientConnection open(String export) throws IOException {
    Deadline forever = Deadline.inMs(TimeUnit.DAYS.toMillis(365));
    ClientConnection connection =
        new ClientConnection(SocketWire.connect(uri, Deadline.inMs(LOOK_MS)), forever, LOOK_MS);
    boolean done = false;
    try {
      int _ = connection.greeting();
      connection.send(new Packet().u32(Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES).toBytes());
      ClientConnection.Answer answer = connection.option(Nbd.OPT_GO, Packet.info(export));
      ByteBuffer info = answer.isAck() ? answer.info(Nbd.INFO_EXPORT) : null;
      if (info == null) {
        throw new IOException("export \"" + export + "\": " + answer);
      }
      size = info.getLong();
      done = true;
      return connection;
    } catch (Broken e) {
      throw new IOException(e.getMessage(), e);
    } finally {
      if (!done) {
        connection.close();
      }
    }
  }

  /** Reads the beginning of the export with a simple request. */
  private static byte[] read(ClientConnection connection) throws IOException {
    connection.send(
        new Packet()
            .u32(Nbd.REQUEST_MAGIC)
            .u16(0)
            .u16(Nbd.READ)
            .u64(COOKIE)
            .u64(0)
            .u32(READ_BYTES)
            .toBytes());
    ByteBuffer header = connection.read(16);
    int magic = header.getInt();
    int error = header.getInt();
    if (magic != Nbd.SIMPLE_REPLY_MAGIC || error != 0 || header.getLong() != COOKIE) {
      throw new IOException("a READ is answered " + Nbd.errorName(error));
    }
    return Packet.rest(connection.read(READ_BYTES));
  }
}
