package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.List;

/** X: extended headers. The decoder judges the replies' form. */
final class ExtendedChecks {
  static final List<Check> ALL =
      List.of(
          new Check(
              "X1", "32-byte headers, 64-bit lengths, offset echoed", ExtendedChecks::headers),
          new Check(
              "X2", "PAYLOAD_LEN on WRITE; elsewhere EINVAL, in sync", ExtendedChecks::payloads),
          new Check("X3", "BLOCK_STATUS chunks of type 6; EXT_HEADER_REQD", ExtendedChecks::status),
          new Check("X4", "BLOCK_STATUS with a list of contexts", ExtendedChecks::filtered),
          new Check("X5", "GO works, EXPORT_NAME is refused", ExtendedChecks::options));

  private static final long BEYOND_32_BITS = 1L << 32;

  private ExtendedChecks() {}

  private static void headers(CheckRun run) {
    run.probe(
        "READ, FLUSH and an error",
        () -> {
          Transmission session = run.extended();
          int unit = Math.max(512, run.facts().minimum());
          Content.succeed(session, Nbd.READ, 0, unit, unit);
          Content.succeed(session, Nbd.READ, 0, 0, Content.BLOCK);
          if (run.facts().has(Nbd.SEND_FLUSH)) {
            Content.succeed(session, Nbd.FLUSH, 0, 0, 0);
          }
          Reply reply = session.read(run.facts().size(), unit);
          must(reply.error() != 0, reply.request() + " is answered " + reply);
          Content.inSync(run, session);
        });
    run.probe(
        "a READ of 4 GiB and a block",
        () -> {
          Transmission session = run.extended();
          need(run.facts().size() < BEYOND_32_BITS, "the export is larger than that");
          Reply reply = session.read(0, BEYOND_32_BITS + Content.BLOCK);
          must(reply.error() != 0, "it is answered " + reply);
          Content.inSync(run, session);
        });
    for (int command : new int[] {Nbd.TRIM, Nbd.WRITE_ZEROES}) {
      run.probe(
          "a " + Nbd.commandName(command) + " of 4 GiB and a block",
          () -> {
            run.needWrite();
            Transmission session = run.extended();
            int flag = command == Nbd.TRIM ? Nbd.SEND_TRIM : Nbd.SEND_WRITE_ZEROES;
            need(run.facts().has(flag), Nbd.commandName(command) + " is not offered");
            byte[] data = Content.random(21, Content.BLOCK);
            Content.write(session, 0, data);
            boolean inside = run.facts().size() >= BEYOND_32_BITS + Content.BLOCK;
            Reply reply = session.call(command, 0, 0, BEYOND_32_BITS + Content.BLOCK);
            must(inside || reply.error() != 0, "it is answered " + reply);
            if (!inside) {
              Content.expect(session, 0, data);
            }
          });
    }
    run.probe(
        "WRITE and READ",
        () -> {
          run.needWrite();
          Transmission session = run.extended();
          byte[] data = Content.random(22, 2 * Content.BLOCK);
          Content.write(session, Content.BLOCK, data);
          Content.expect(session, Content.BLOCK, data);
        });
  }

  private static void payloads(CheckRun run) {
    run.probe(
        "WRITE with PAYLOAD_LEN",
        () -> {
          run.needWrite();
          Content.write(run.extended(), 0, Content.random(31, Content.BLOCK));
        });
    for (int command : new int[] {Nbd.READ, Nbd.FLUSH, Nbd.TRIM, Nbd.WRITE_ZEROES, Nbd.CACHE}) {
      run.probe(
          Nbd.commandName(command) + " with a payload",
          () -> {
            Transmission session = run.extended();
            if (command == Nbd.TRIM || command == Nbd.WRITE_ZEROES) {
              run.needWrite();
            }
            byte[] payload = new byte[Content.BLOCK];
            Reply reply =
                session.callWithPayload(
                    command, Nbd.PAYLOAD_LEN, 0, payload.length, List.of(), payload);
            must(reply.error() != 0, "it is answered " + reply);
            recommended(reply.error() == Nbd.EINVAL, "it is answered " + reply);
            Content.inSync(run, session);
          });
    }
  }

  private static void status(CheckRun run) {
    run.probe(
        "ranges of several lengths",
        () -> {
          run.needAllocation();
          StatusChecks.ranges(run, run.extended(Nbd.ALLOCATION));
        });
    run.probe(
        "a range of more than 4 GiB",
        () -> {
          run.needAllocation();
          Transmission session = run.extended(Nbd.ALLOCATION);
          need(run.facts().size() < BEYOND_32_BITS, "the export is larger than that");
          Reply reply = session.call(Nbd.BLOCK_STATUS, 0, 0, BEYOND_32_BITS + Content.BLOCK);
          recommended(reply.error() == Nbd.EINVAL, "past the end, and it is answered " + reply);
          Content.inSync(run, session);
        });
    run.probe(
        "base: contexts without extended headers",
        () -> {
          run.needExtended();
          run.needAllocation();
          ClientConnection connection = run.negotiation();
          Answer _ = connection.option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]);
          for (int option : new int[] {Nbd.OPT_LIST_META_CONTEXT, Nbd.OPT_SET_META_CONTEXT}) {
            Answer answer = connection.option(option, Packet.meta(run.export(), Nbd.ALLOCATION));
            must(
                !answer.is(Nbd.ERR_EXT_HEADER_REQD),
                Nbd.optionName(option) + " is answered " + answer);
          }
        });
  }

  private static byte[] effect(long length, int... ids) {
    Packet packet = new Packet().u64(length);
    for (int id : ids) {
      Packet _ = packet.u32(id);
    }
    return packet.toBytes();
  }

  private static Transmission needFilter(CheckRun run) throws IOException {
    run.needExtended();
    need(
        (run.facts().extendedFlags() & Nbd.BLOCK_STATUS_PAYLOAD) != 0,
        "BLOCK_STATUS_PAYLOAD is not set");
    run.needAllocation();
    return run.extended(Nbd.ALLOCATION);
  }

  private static Reply filtered(Transmission session, List<Integer> expected, byte[] payload)
      throws IOException {
    return session.callWithPayload(
        Nbd.BLOCK_STATUS, Nbd.PAYLOAD_LEN, 0, Content.BLOCK, expected, payload);
  }

  private static void filtered(CheckRun run) {
    run.probe(
        "the selected context",
        () -> {
          Transmission session = needFilter(run);
          int id = session.contexts().getFirst();
          Reply reply = filtered(session, session.contexts(), effect(Content.BLOCK, id));
          must(reply.error() == 0, "it is answered " + reply);
        });
    run.probe(
        "an unknown context",
        () -> {
          Transmission session = needFilter(run);
          int unknown = session.contexts().getFirst() + 4711;
          Reply reply = filtered(session, List.of(), effect(Content.BLOCK, unknown));
          must(reply.error() == Nbd.EINVAL, "it is answered " + reply);
          Content.inSync(run, session);
        });
    run.probe(
        "a context twice",
        () -> {
          Transmission session = needFilter(run);
          int id = session.contexts().getFirst();
          Reply reply = filtered(session, session.contexts(), effect(Content.BLOCK, id, id));
          must(reply.error() == Nbd.EINVAL, "it is answered " + reply);
          Content.inSync(run, session);
        });
    run.probe(
        "a payload of 7 bytes",
        () -> {
          Transmission session = needFilter(run);
          Reply reply = filtered(session, session.contexts(), new byte[7]);
          must(reply.error() != 0, "it is answered " + reply);
          Content.inSync(run, session);
        });
  }

  private static void options(CheckRun run) {
    run.probe(
        "GO",
        () -> {
          Transmission session = run.extended();
          Content.inSync(run, session);
        });
    run.probe(
        "EXPORT_NAME",
        () -> {
          ClientConnection connection = extended(run);
          connection.send(Packet.option(Nbd.OPT_EXPORT_NAME, run.exportBytes()));
          connection.expectEnd("it was sent");
        });
    run.probe(
        "STRUCTURED_REPLY",
        () -> {
          Answer answer = extended(run).option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]);
          must(answer.is(Nbd.ERR_EXT_HEADER_REQD), "it is answered " + answer);
        });
    run.should(
        "EXTENDED_HEADERS with data",
        () -> {
          run.needExtended();
          Answer answer = run.negotiation().option(Nbd.OPT_EXTENDED_HEADERS, new byte[5]);
          recommended(answer.is(Nbd.ERR_INVALID), "it is answered " + answer);
        });
  }

  private static ClientConnection extended(CheckRun run) throws IOException {
    run.needExtended();
    ClientConnection connection = run.negotiation();
    Answer answer = connection.option(Nbd.OPT_EXTENDED_HEADERS, new byte[0]);
    must(answer.isAck(), "EXTENDED_HEADERS is answered " + answer);
    return connection;
  }
}
