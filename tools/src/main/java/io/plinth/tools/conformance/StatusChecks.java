package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** B: metadata contexts and BLOCK_STATUS. */
final class StatusChecks {
  static final List<Check> ALL =
      List.of(
          new Check(
              "B1", "BLOCK_STATUS without a selected context: EINVAL", StatusChecks::selection),
          new Check("B2", "extents: some, none empty, inside; REQ_ONE one", StatusChecks::extents),
          new Check("B3", "base:allocation tells the truth", StatusChecks::truth));

  private static final int MOST_EXTENTS = 1 << 20;

  private StatusChecks() {}

  private static void refused(CheckRun run, Transmission session) throws IOException {
    Request request =
        new Request(Nbd.BLOCK_STATUS, 0, session.nextCookie(), 0, run.facts().minimum(), List.of());
    Reply reply = session.await(session.send(request, new byte[0]));
    must(reply.error() != 0, "it is answered " + reply);
    recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
    Content.inSync(run, session);
  }

  private static void selection(CheckRun run) {
    run.probe("with simple replies", () -> refused(run, run.simple()));
    run.probe("with structured replies", () -> refused(run, run.structured()));
    run.probe("after a selection of nothing", () -> after(run, new String[0]));
    run.probe("after a selection of base:", () -> after(run, new String[] {"base:"}));
    run.probe(
        "after a selection in an unknown namespace",
        () -> after(run, new String[] {"x-no-such-namespace:x"}));
    run.probe(
        "after a selection that failed",
        () -> {
          run.needAllocation();
          ClientConnection connection = structured(run);
          List<Integer> _ = run.select(connection, Nbd.ALLOCATION);
          byte[] broken = new Packet().string(run.export()).u32(1).u32(5000).toBytes();
          Answer answer = connection.option(Nbd.OPT_SET_META_CONTEXT, broken);
          must(answer.last().isError(), "a malformed selection is answered " + answer);
          refused(run, run.enter(connection, ReplyDecoder.Mode.STRUCTURED, List.of()));
        });
    run.probe(
        "LIST_META_CONTEXT",
        () -> {
          run.needAllocation();
          ClientConnection connection = structured(run);
          for (String[] queries : new String[][] {{}, {"base:"}, {Nbd.ALLOCATION}}) {
            Answer answer =
                connection.option(Nbd.OPT_LIST_META_CONTEXT, Packet.meta(run.export(), queries));
            must(answer.isAck(), "it is answered " + answer);
            must(!answer.before().isEmpty(), "it names nothing for " + List.of(queries));
          }
        });
  }

  private static ClientConnection structured(CheckRun run) throws IOException {
    ClientConnection connection = run.negotiation();
    Answer answer = connection.option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]);
    must(answer.isAck(), "STRUCTURED_REPLY is answered " + answer);
    return connection;
  }

  /** The last selection counts, and this one selects nothing. */
  private static void after(CheckRun run, String[] queries) throws IOException {
    run.needAllocation();
    ClientConnection connection = structured(run);
    List<Integer> _ = run.select(connection, Nbd.ALLOCATION);
    Answer answer = connection.option(Nbd.OPT_SET_META_CONTEXT, Packet.meta(run.export(), queries));
    must(answer.isAck(), "it is answered " + answer);
    must(answer.before().isEmpty(), "it selects " + answer.before().size() + " contexts");
    refused(run, run.enter(connection, ReplyDecoder.Mode.STRUCTURED, List.of()));
  }

  private static void extents(CheckRun run) {
    run.probe(
        "ranges of several lengths",
        () -> {
          run.needAllocation();
          ranges(run, run.structured(Nbd.ALLOCATION));
        });
    run.probe(
        "a range of data and holes",
        () -> {
          run.needAllocation();
          run.needWrite();
          Transmission session = run.structured(Nbd.ALLOCATION);
          byte[] _ = Content.mixed(run, session);
          ranges(run, session);
        });
  }

  static void ranges(CheckRun run, Transmission session) throws IOException {
    int unit = run.facts().minimum();
    long size = run.facts().size() / unit * unit;
    long[][] ranges = {
      {0, unit}, {0, Content.BLOCK}, {0, size}, {unit, size - unit}, {size - unit, unit}
    };
    for (long[] range : ranges) {
      long length = Math.min(range[1], (1L << 32) / unit * unit - unit);
      for (int flags : new int[] {0, Nbd.REQ_ONE}) {
        Reply reply = session.call(Nbd.BLOCK_STATUS, flags, range[0], length);
        must(reply.error() == 0, reply.request() + " is answered " + reply);
        int context = session.contexts().getFirst();
        recommended(
            reply.extents(context).size() <= MOST_EXTENTS,
            reply.request() + ": " + reply.extents(context).size() + " extents");
        for (Reply.Extent extent : reply.extents(context)) {
          must(
              extent.length() % unit == 0,
              reply.request() + ": an extent of " + extent.length() + " is misaligned");
        }
      }
    }
  }

  private static void truth(CheckRun run) {
    run.probe(
        "what is said to be zero reads as zero",
        () -> {
          run.needAllocation();
          zeroes(run, run.structured(Nbd.ALLOCATION));
        });
    run.probe(
        "data that was just written",
        () -> {
          run.needAllocation();
          run.needWrite();
          Transmission session = run.structured(Nbd.ALLOCATION);
          byte[] data = Content.random(11, 2 * Content.BLOCK);
          Content.write(session, 0, data);
          for (Reply.Extent extent : first(session, 0, data.length)) {
            must(
                (extent.flags() & (Nbd.STATE_ZERO | Nbd.STATE_HOLE)) == 0,
                "it has status " + extent.flags());
          }
          byte[] _ = Content.mixed(run, session);
          zeroes(run, session);
        });
    run.probe(
        "a write to what is no hole",
        () -> {
          run.needAllocation();
          run.needWrite();
          Transmission session = run.structured(Nbd.ALLOCATION);
          Reply.Extent extent = first(session, 0, Content.BLOCK).getFirst();
          need((extent.flags() & Nbd.STATE_HOLE) == 0, "the export begins with a hole");
          Reply reply = session.write(0, 0, Content.random(12, run.facts().minimum()));
          must(reply.error() != Nbd.ENOSPC, "it is answered " + reply);
        });
  }

  /** Returns the extents that begin in a range. */
  private static List<Reply.Extent> first(Transmission session, long offset, long length)
      throws IOException {
    Reply reply = session.call(Nbd.BLOCK_STATUS, 0, offset, length);
    must(reply.error() == 0, reply.request() + " is answered " + reply);
    return reply.extents(session.contexts().getFirst());
  }

  private static void zeroes(CheckRun run, Transmission session) throws IOException {
    List<Reply.Extent> extents = new ArrayList<>(first(session, 0, Facts.LEAST_SIZE));
    long offset = 0;
    for (Reply.Extent extent : extents) {
      recommended(
          (extent.flags() & ~(Nbd.STATE_HOLE | Nbd.STATE_ZERO)) == 0,
          "reserved bits in status " + extent.flags());
      long length =
          Math.min(
              Math.min(extent.length(), run.facts().maxPayload()), run.facts().size() - offset);
      if ((extent.flags() & Nbd.STATE_ZERO) != 0 && length > 0) {
        Content.expect(session, offset, new byte[(int) Math.min(length, 1 << 20)]);
      }
      offset += extent.length();
    }
  }
}
