package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.List;

/** E: requests that are wrong, and what becomes of them. */
final class ErrorChecks {
  static final List<Check> ALL =
      List.of(
          new Check("E1", "SHOULD: unknown command or flag: EINVAL, in sync", ErrorChecks::unknown),
          new Check("E2", "SHOULD: past the end: EINVAL or ENOSPC; overflow", ErrorChecks::pastEnd),
          new Check("E3", "SHOULD: misaligned: EINVAL", ErrorChecks::misaligned),
          new Check("E4", "SHOULD: length 0 does not disconnect", ErrorChecks::empty),
          new Check("E5", "SHOULD: ESHUTDOWN while shutting down", ShutdownChecks::stop),
          new Check("E6", "bad request magic is not executed", ErrorChecks::badMagic),
          new Check("E7", "payload over the maximum; 2^25 is no attack", ErrorChecks::tooLong));

  private static final int UNKNOWN_FLAG = 1 << 15;

  private ErrorChecks() {}

  private interface Session {
    Transmission open() throws IOException;
  }

  /** A request that must fail, with this errno if the server does as it should. */
  private static void refused(
      CheckRun run, String name, int errno, Session sessions, long[] request) {
    run.should(
        name,
        () -> {
          Transmission session = sessions.open();
          Reply reply = session.call((int) request[0], (int) request[1], request[2], request[3]);
          recommended(
              reply.error() == errno,
              reply.request() + " is answered " + reply + ", not " + Nbd.errorName(errno));
          Content.inSync(run, session);
        });
  }

  private static Transmission needing(CheckRun run, int flag, String name) throws IOException {
    run.needExport();
    need(run.facts().has(flag), name + " is not set");
    return run.any();
  }

  private static void unknown(CheckRun run) {
    refused(run, "command 0x7fff", Nbd.EINVAL, run::any, new long[] {0x7fff, 0, 0, 0});
    refused(run, "command 100", Nbd.EINVAL, run::any, new long[] {100, 0, 0, 4096});
    refused(
        run,
        "READ with an unknown flag",
        Nbd.EINVAL,
        run::any,
        new long[] {Nbd.READ, UNKNOWN_FLAG, 0, Content.BLOCK});
    refused(
        run,
        "READ with NO_HOLE",
        Nbd.EINVAL,
        run::any,
        new long[] {Nbd.READ, Nbd.NO_HOLE, 0, Content.BLOCK});
    run.should(
        "RESIZE",
        () -> {
          run.needExport();
          need(!run.facts().has(Nbd.SEND_RESIZE), "the server has RESIZE");
          Transmission session = run.any();
          Reply reply = session.call(Nbd.RESIZE, 0, run.facts().size(), 0);
          recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
          Content.inSync(run, session);
        });
    refused(
        run,
        "CACHE with an unknown flag",
        Nbd.EINVAL,
        () -> needing(run, Nbd.SEND_CACHE, "SEND_CACHE"),
        new long[] {Nbd.CACHE, UNKNOWN_FLAG, 0, Content.BLOCK});
    run.should(
        "WRITE with an unknown flag",
        () -> {
          run.needWrite();
          Transmission session = run.any();
          Reply reply = session.write(UNKNOWN_FLAG, 0, Content.random(1, Content.BLOCK));
          recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
          Content.inSync(run, session);
        });
  }

  private static void pastEnd(CheckRun run) {
    int unit = Math.max(512, run.facts().minimum());
    long size = run.facts().size() / unit * unit;
    long[][] ranges = {
      {size, unit}, {size - unit, 2L * unit}, {Long.MIN_VALUE, unit}, {-unit, 2L * unit}
    };
    for (long[] range : ranges) {
      String where = " of " + range[1] + " at " + Long.toUnsignedString(range[0]);
      refused(
          run, "READ" + where, Nbd.EINVAL, run::any, new long[] {Nbd.READ, 0, range[0], range[1]});
      run.should(
          "BLOCK_STATUS" + where,
          () -> {
            run.needAllocation();
            Transmission session = run.structured(Nbd.ALLOCATION);
            Reply reply = session.call(Nbd.BLOCK_STATUS, 0, range[0], range[1]);
            recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
            Content.inSync(run, session);
          });
      refused(
          run,
          "TRIM" + where,
          Nbd.EINVAL,
          () -> {
            run.needWrite();
            return needing(run, Nbd.SEND_TRIM, "SEND_TRIM");
          },
          new long[] {Nbd.TRIM, 0, range[0], range[1]});
      refused(
          run,
          "WRITE_ZEROES" + where,
          Nbd.ENOSPC,
          () -> {
            run.needWrite();
            return needing(run, Nbd.SEND_WRITE_ZEROES, "SEND_WRITE_ZEROES");
          },
          new long[] {Nbd.WRITE_ZEROES, 0, range[0], range[1]});
      run.should(
          "WRITE" + where,
          () -> {
            run.needWrite();
            Transmission session = run.any();
            Reply reply = session.write(0, range[0], new byte[(int) range[1]]);
            must(reply.error() != 0, "it is answered " + reply);
            recommended(reply.error() == Nbd.ENOSPC, "it is answered " + reply);
            Content.inSync(run, session);
          });
    }
    run.probe("a change of a read-only export", () -> readOnly(run));
  }

  private static void readOnly(CheckRun run) throws IOException {
    run.needExport();
    need(run.facts().has(Nbd.READ_ONLY), "the export is not read-only");
    need(run.options().mayWrite(), "it would write, and --write was not given");
    Transmission session = run.any();
    Reply reply = session.write(0, 0, new byte[Content.BLOCK]);
    must(reply.error() != 0, "WRITE is answered " + reply);
    recommended(reply.error() == Nbd.EPERM, "WRITE is answered " + reply);
    Content.inSync(run, session);
  }

  private static void misaligned(CheckRun run) {
    int unit = run.facts().minimum();
    run.should(
        "READs",
        () -> {
          run.needExport();
          need(unit > 1, run.facts().blockSizes() ? "the minimum is 1" : "no minimum is told");
          Transmission session = run.any();
          for (long[] range : new long[][] {{1, unit}, {0, unit + 1L}, {unit / 2, unit / 2}}) {
            Reply reply = session.read(range[0], range[1]);
            recommended(reply.error() == Nbd.EINVAL, reply.request() + " is answered " + reply);
          }
          Content.inSync(run, session);
        });
    run.should(
        "WRITEs",
        () -> {
          run.needWrite();
          need(unit > 1, run.facts().blockSizes() ? "the minimum is 1" : "no minimum is told");
          Transmission session = run.any();
          for (int[] range : new int[][] {{1, unit}, {0, unit + 1}, {unit / 2, unit / 2}}) {
            Reply reply = session.write(0, range[0], new byte[range[1]]);
            recommended(reply.error() == Nbd.EINVAL, reply.request() + " is answered " + reply);
          }
          Content.inSync(run, session);
        });
  }

  private static void empty(CheckRun run) {
    int unit = Math.max(512, run.facts().minimum());
    long[] offsets = {0, unit, run.facts().size() / unit * unit};
    for (long offset : offsets) {
      String where = " of length 0 at " + offset;
      run.should("READ" + where, () -> harmless(run, run.any(), Nbd.READ, offset));
      run.should(
          "CACHE" + where,
          () -> harmless(run, needing(run, Nbd.SEND_CACHE, "SEND_CACHE"), Nbd.CACHE, offset));
      run.should(
          "BLOCK_STATUS" + where,
          () -> {
            run.needAllocation();
            harmless(run, run.structured(Nbd.ALLOCATION), Nbd.BLOCK_STATUS, offset);
          });
      run.should(
          "TRIM" + where,
          () -> {
            run.needWrite();
            harmless(run, needing(run, Nbd.SEND_TRIM, "SEND_TRIM"), Nbd.TRIM, offset);
          });
      run.should(
          "WRITE_ZEROES" + where,
          () -> {
            run.needWrite();
            Transmission session = needing(run, Nbd.SEND_WRITE_ZEROES, "SEND_WRITE_ZEROES");
            harmless(run, session, Nbd.WRITE_ZEROES, offset);
          });
      run.should(
          "WRITE" + where,
          () -> {
            run.needWrite();
            Transmission session = run.any();
            Reply _ = session.write(0, offset, new byte[0]);
            Content.inSync(run, session);
          });
    }
  }

  /** What it is answered is unspecified. */
  private static void harmless(CheckRun run, Transmission session, int command, long offset)
      throws IOException {
    Reply _ = session.call(command, 0, offset, 0);
    Content.inSync(run, session);
  }

  private static void badMagic(CheckRun run) {
    for (int magic : new int[] {0x12560953, 0}) {
      run.probe(
          "magic 0x" + Integer.toHexString(magic),
          () -> {
            Transmission witness = run.any();
            Transmission session = run.any();
            Request request =
                new Request(Nbd.READ, 0, session.nextCookie(), 0, run.facts().minimum(), List.of());
            byte[] header = session.header(request, request.length());
            byte[] wrong = new Packet().u32(magic).toBytes();
            System.arraycopy(wrong, 0, header, 0, wrong.length);
            session.connection().send(header);
            int first = firstByte(session.connection());
            if (first >= 0) {
              notExecuted(session.connection(), first, request);
            }
            Content.inSync(run, witness);
          });
    }
  }

  private static int firstByte(ClientConnection connection) throws IOException {
    try {
      return connection.read(1).get() & 0xff;
    } catch (ClosedException | NoAnswerException _) {
      // Both are allowed: nothing is prescribed.
      return -1;
    }
  }

  /** The server answers: it must be with an error. */
  private static void notExecuted(ClientConnection connection, int first, Request request)
      throws IOException {
    java.nio.ByteBuffer rest = connection.read(15);
    int magic = first << 24 | (rest.get(0) & 0xff) << 16 | (rest.getShort(1) & 0xffff);
    boolean simple = magic == Nbd.SIMPLE_REPLY_MAGIC;
    boolean error = simple ? rest.getInt(3) != 0 : (rest.getShort(5) & Nbd.CHUNK_ERROR_BIT) != 0;
    must(error, request + " with a bad magic is answered with success");
  }

  private static void tooLong(CheckRun run) {
    int unit = run.facts().minimum();
    long portable = Math.min(Nbd.PORTABLE_PAYLOAD, run.facts().maxPayload()) / unit * unit;
    run.should(
        "a WRITE of " + portable,
        () -> {
          run.needWrite();
          Transmission session = run.any();
          Reply reply = session.write(0, 0, Content.random(1, (int) portable));
          recommended(reply.error() == 0, "it is answered " + reply);
          Content.inSync(run, session);
        });
    long over = run.facts().maximum() + unit;
    run.should(
        "a READ of the maximum and one block",
        () -> {
          needMaximum(run, over);
          Transmission session = run.any();
          try {
            Reply reply = session.read(0, over);
            recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
            Content.inSync(run, session);
          } catch (ClosedException _) {
            recommended(over > Nbd.PORTABLE_PAYLOAD, "connection closed");
          }
        });
    run.should(
        "a WRITE of the maximum and one block",
        () -> {
          needMaximum(run, over);
          run.needWrite();
          Transmission session = run.any();
          try {
            Reply reply = session.write(0, 0, new byte[(int) over]);
            recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
            Content.inSync(run, session);
          } catch (ClosedException _) {
            recommended(over > Nbd.PORTABLE_PAYLOAD, "connection closed");
          }
          Content.inSync(run, run.any());
        });
    run.should(
        "a WRITE_ZEROES of the maximum and one block",
        () -> {
          needMaximum(run, over);
          run.needWrite();
          Transmission session = needing(run, Nbd.SEND_WRITE_ZEROES, "SEND_WRITE_ZEROES");
          Reply _ = session.call(Nbd.WRITE_ZEROES, 0, 0, over);
          Content.inSync(run, session);
        });
  }

  private static void needMaximum(CheckRun run, long over) {
    run.needExport();
    need(run.facts().blockSizes(), "no maximum is told");
    need(over <= 40 << 20, "the maximum is " + run.facts().maximum());
    need(over <= run.facts().size(), "the export is not larger than the maximum");
  }
}
