package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** R: replies to requests. The decoder judges them; what is here makes the server send them. */
final class ReplyChecks {
  static final List<Check> ALL =
      List.of(
          new Check("R1", "cookie echoed; replies in any order", ReplyChecks::cookies),
          new Check("R2", "simple or structured as negotiated", ReplyChecks::kinds),
          new Check("R3", "DONE on exactly the last chunk", ReplyChecks::done),
          new Check("R4", "chunks inside the request, no overlap, full cover", ReplyChecks::cover),
          new Check(
              "R5", "error in a data chunk: pad, then error chunk", FailureChecks::structured),
          new Check("R6", "simple READ error after the header: disconnect", FailureChecks::simple),
          new Check("R7", "DF: at most one content chunk", ReplyChecks::unfragmented),
          new Check("R8", "chunks no longer than the maximum payload", ReplyChecks::payload));

  private static final long[] COOKIES = {
    0, -1, 1, Long.MIN_VALUE, Long.MAX_VALUE, 0x2560951325609513L, 0x6744669867446698L, 255
  };

  private ReplyChecks() {}

  private static void cookies(CheckRun run) {
    run.probe(
        "eight READs in flight",
        () -> {
          Transmission session = run.any();
          int unit = Math.max(512, run.facts().minimum());
          List<Request> requests = new ArrayList<>();
          for (int i = 0; i < COOKIES.length; i++) {
            Request request =
                new Request(Nbd.READ, 0, COOKIES[i], (long) i * unit, unit, List.of());
            requests.add(session.send(request, new byte[0]));
          }
          List<byte[]> together = new ArrayList<>();
          for (Request request : requests) {
            Reply reply = session.await(request);
            must(reply.error() == 0, request + " is answered " + reply);
            together.add(reply.data());
          }
          for (int i = 0; i < COOKIES.length; i++) {
            byte[] alone = session.read((long) i * unit, unit).data();
            must(
                Arrays.equals(alone, together.get(i)), requests.get(i) + " reads other data alone");
          }
        });
    run.probe(
        "one cookie again and again, and for an error",
        () -> {
          Transmission session = run.any();
          int unit = Math.max(512, run.facts().minimum());
          for (int i = 0; i < 3; i++) {
            long offset = i == 1 ? run.facts().size() : 0;
            Request request = new Request(Nbd.READ, 0, 42, offset, unit, List.of());
            Reply _ = session.await(session.send(request, new byte[0]));
          }
        });
  }

  /** Requests that succeed and some that can't. */
  private static void various(CheckRun run, Transmission session) throws IOException {
    int unit = Math.max(512, run.facts().minimum());
    Reply _ = session.read(0, unit);
    Reply _ = session.read(run.facts().size(), unit);
    Reply _ = session.read(0, Content.BLOCK);
    if (run.facts().has(Nbd.SEND_FLUSH)) {
      Reply _ = session.call(Nbd.FLUSH, 0, 0, 0);
    }
    Content.inSync(run, session);
  }

  private static void kinds(CheckRun run) {
    run.probe("simple", () -> various(run, run.simple()));
    run.probe("structured", () -> various(run, run.structured()));
    run.probe(
        "structured, READ with an unknown flag",
        () -> {
          Transmission session = run.structured();
          Reply _ = session.call(Nbd.READ, 1 << 15, 0, Content.BLOCK);
          Content.inSync(run, session);
        });
  }

  private static void done(CheckRun run) {
    run.probe(
        "READs of several lengths",
        () -> {
          Transmission session = run.structured();
          int unit = Math.max(512, run.facts().minimum());
          for (int length : new int[] {unit, Content.BLOCK, 1 << 20}) {
            Reply _ = session.read(0, Math.min(length, run.facts().maxPayload()));
            Content.inSync(run, session);
          }
          Reply _ = session.read(run.facts().size(), unit);
          Content.inSync(run, session);
          run.note("whether an error could still follow cannot be seen from outside");
        });
    run.probe(
        "a READ of data and holes, which may have several chunks",
        () -> {
          run.needWrite();
          Transmission session = run.structured();
          byte[] data = Content.mixed(run, session);
          if (run.facts().maxPayload() >= data.length) {
            Content.expect(session, 0, data);
          }
          Content.inSync(run, session);
        });
  }

  private static void cover(CheckRun run) {
    run.probe(
        "READs at many places",
        () -> {
          Transmission session = run.structured();
          int unit = run.facts().minimum();
          long size = run.facts().size() / unit * unit;
          long most = Math.min(run.facts().maxPayload(), 1 << 20);
          long[][] ranges = {
            {0, unit},
            {unit, unit},
            {size - unit, unit},
            {Content.BLOCK - unit, 3L * unit},
            {0, most / unit * unit},
            {size - Content.BLOCK, Content.BLOCK}
          };
          for (long[] range : ranges) {
            if (range[1] <= most) {
              Content.succeed(session, Nbd.READ, 0, range[0], range[1]);
            }
          }
        });
    run.probe(
        "a READ of data and holes",
        () -> {
          run.needWrite();
          Transmission session = run.structured();
          byte[] data = Content.mixed(run, session);
          if (run.facts().maxPayload() >= data.length) {
            Content.expect(session, 0, data);
          }
        });
  }

  private static void unfragmented(CheckRun run) {
    run.probe(
        "65536 bytes",
        () -> {
          Transmission session = needDf(run);
          Reply reply = session.call(Nbd.READ, Nbd.DF, 0, Content.BLOCK);
          must(reply.error() == 0, "it is answered " + reply);
        });
    run.probe(
        "65536 bytes of data and holes",
        () -> {
          run.needWrite();
          Transmission session = needDf(run);
          byte[] data = Content.mixed(run, session);
          long offset = Content.BLOCK / 2;
          Reply reply = session.call(Nbd.READ, Nbd.DF, offset, Content.BLOCK);
          must(reply.error() == 0, "it is answered " + reply);
          byte[] expected = Arrays.copyOfRange(data, (int) offset, (int) offset + Content.BLOCK);
          must(Arrays.equals(expected, reply.data()), "wrong data");
        });
    run.probe(
        "much more",
        () -> {
          Transmission session = needDf(run);
          long length = Math.min(run.facts().maxPayload(), 4 << 20) / Content.BLOCK * Content.BLOCK;
          need(length > 0, "the maximum is below 65536");
          Reply reply = session.call(Nbd.READ, Nbd.DF, 0, length);
          must(
              reply.error() == 0 || (reply.error() == Nbd.EOVERFLOW && reply.contentChunks() == 0),
              "it is answered " + reply + ", " + reply.contentChunks() + " content chunks");
        });
  }

  private static Transmission needDf(CheckRun run) throws IOException {
    run.needStructured();
    need((run.facts().structuredFlags() & Nbd.SEND_DF) != 0, "SEND_DF is not set");
    // With a minimum of 65536 half of it can't be read.
    need(run.facts().minimum() <= Content.BLOCK / 2, "the minimum is 65536");
    return run.structured();
  }

  private static void payload(CheckRun run) {
    run.probe(
        "a READ of the maximum",
        () -> {
          Transmission session = run.structured();
          int unit = run.facts().minimum();
          long length = Math.min(run.facts().maxPayload(), 32L << 20) / unit * unit;
          Content.succeed(session, Nbd.READ, 0, 0, length);
          run.note(length + " bytes");
        });
  }
}
