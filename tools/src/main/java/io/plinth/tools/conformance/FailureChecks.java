package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** R5 and R6: READs of an export that can't be read. */
final class FailureChecks {
  /** What a server may send before it finds out. */
  private static final long LONG_READ = 1 << 20;

  private FailureChecks() {}

  private interface Opening {
    Transmission open() throws IOException;
  }

  private static Server failing(CheckRun run) {
    if (run.targets().failing() == null) {
      run.skip("needs an export whose READs fail: --failing-uri");
    }
    return run.targets().failing();
  }

  private static long shortest(CheckRun run) {
    return Math.max(512, run.facts().minimum());
  }

  /** A READ that reaches from what can't be read to what perhaps can. */
  private static long longest(CheckRun run) {
    int unit = run.facts().minimum();
    return Math.min(LONG_READ, run.facts().maxPayload()) / unit * unit;
  }

  static void structured(CheckRun run) {
    Server failing = failing(run);
    if (failing == null) {
      return;
    }
    run.at(
        failing,
        () -> {
          structured(run, "structured", run::structured);
          structured(run, "extended", run::extended);
        });
  }

  private static void structured(CheckRun run, String kind, Opening opening) {
    run.probe(kind + ", a short READ", () -> fails(run, opening.open(), 0, shortest(run)));
    run.probe(kind + ", a long READ", () -> fails(run, opening.open(), 0, longest(run)));
    run.probe(
        kind + ", a READ with DF",
        () -> {
          Transmission session = opening.open();
          need(run.facts().has(Nbd.SEND_DF), "SEND_DF is not set");
          fails(run, session, Nbd.DF, Math.min(Content.BLOCK, longest(run)));
        });
    run.probe(
        kind + ", four READs in flight",
        () -> {
          Transmission session = opening.open();
          List<Request> requests = new ArrayList<>();
          for (int i = 0; i < 4; i++) {
            requests.add(session.send(Nbd.READ, 0, 0, i % 2 == 0 ? shortest(run) : longest(run)));
          }
          for (Request request : requests) {
            failed(session, request);
          }
          inStep(run, session);
        });
  }

  /** The text wants the error said, and lets no server hang up for it. */
  private static void fails(CheckRun run, Transmission session, int flags, long length)
      throws IOException {
    failed(session, session.send(Nbd.READ, flags, 0, length));
    inStep(run, session);
  }

  private static void failed(Transmission session, Request request) throws IOException {
    Reply reply;
    try {
      reply = session.await(request);
    } catch (ClosedException _) {
      throw Broken.here(
          request
              + ": the connection is closed"
              + (session.isInsideReply() ? " within a chunk" : "")
              + " instead of an error chunk");
    } catch (Broken e) {
      throw Broken.here(request + ": " + e.getMessage());
    }
    must(reply.error() != 0, request + " succeeds");
  }

  private static void inStep(CheckRun run, Transmission session) throws IOException {
    try {
      twoMore(run, session);
    } catch (ClosedException _) {
      throw Broken.here("behind the failed READ the connection is closed");
    }
  }

  /** Two more requests, one of which fails for another reason. */
  private static void twoMore(CheckRun run, Transmission session) throws IOException {
    try {
      Reply again = session.read(0, shortest(run));
      must(again.error() != 0, "the next READ succeeds");
      long end = run.facts().size() / run.facts().minimum() * run.facts().minimum();
      Reply past = session.read(end, shortest(run));
      must(past.error() != 0, "a READ past the end after it succeeds");
    } catch (Broken e) {
      throw Broken.here("behind the failed READ: " + e.getMessage());
    } catch (NoAnswerException e) {
      throw Broken.here("behind the failed READ: " + e.getMessage());
    }
  }

  static void simple(CheckRun run) {
    Server failing = failing(run);
    if (failing == null) {
      return;
    }
    run.at(
        failing,
        () -> {
          run.probe("a short READ", () -> failsOrEnds(run, shortest(run)));
          run.probe("a long READ", () -> failsOrEnds(run, longest(run)));
        });
  }

  /** An error without data, and perhaps the end; or, after a header that says success, the end. */
  private static void failsOrEnds(CheckRun run, long length) throws IOException {
    Transmission session = run.simple();
    Request request = session.send(Nbd.READ, 0, 0, length);
    Reply reply;
    try {
      reply = session.await(request);
    } catch (ClosedException _) {
      must(session.isInsideReply(), request + ": the connection is closed before any reply");
      run.note("disconnected after a header that said success");
      return;
    } catch (NoAnswerException _) {
      must(
          !session.isInsideReply(),
          request + ": after a header that said success and part of the data the server waits");
      throw Broken.here(request + ": no answer in time");
    } catch (Broken e) {
      throw Broken.here(request + ": " + e.getMessage());
    }
    must(reply.error() != 0, request + " succeeds");
    try {
      twoMore(run, session);
    } catch (ClosedException _) {
      run.note("disconnected after the error");
    }
  }
}
