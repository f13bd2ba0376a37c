package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/** H1 to H6: greeting, client flags, options and their replies. */
final class HandshakeChecks {
  static final List<Check> ALL =
      List.of(
          new Check(
              "H1", "greeting: FIXED_NEWSTYLE, no undefined flags", HandshakeChecks::greeting),
          new Check(
              "H2", "unknown or not offered client flag: close", HandshakeChecks::clientFlags),
          new Check("H3", "zero padding after EXPORT_NAME only", HandshakeChecks::padding),
          new Check("H4", "unknown option: ERR_UNSUP, in sync", HandshakeChecks::unknownOptions),
          new Check("H5", "option replies echo and end in order", HandshakeChecks::replies),
          new Check(
              "H6", "unknown export: ERR_UNKNOWN, session goes on", HandshakeChecks::unknown));

  private static final String NO_SUCH_EXPORT = "no-such-export-d41d8cd98f00b204";

  private HandshakeChecks() {}

  private static void greeting(CheckRun run) {
    run.probe(
        "handshake flags",
        () -> {
          int flags = run.raw().greeting();
          must((flags & Nbd.FIXED_NEWSTYLE) != 0, "FIXED_NEWSTYLE is not set");
          must(
              (flags & ~(Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES)) == 0,
              "undefined bits in 0x" + Integer.toHexString(flags));
        });
  }

  private static void clientFlags(CheckRun run) {
    for (int unknown : new int[] {1 << 2, 1 << 31}) {
      String name = "client flag 0x" + Integer.toHexString(unknown);
      run.probe(
          name,
          () -> {
            ClientConnection connection = run.raw();
            int offered = connection.greeting() & 3;
            connection.send(new Packet().u32(offered | unknown).toBytes());
            connection.expectEnd("it was sent");
          });
    }
    run.probe(
        "a client flag that was not offered",
        () -> {
          ClientConnection connection = run.raw();
          int offered = connection.greeting() & 3;
          need(offered != 3, "the server offers both flags");
          connection.send(new Packet().u32(3).toBytes());
          connection.expectEnd("it was sent");
        });
  }

  private static void padding(CheckRun run) {
    run.probe("EXPORT_NAME with C_NO_ZEROES", () -> exportName(run, Nbd.NO_ZEROES));
    run.probe("EXPORT_NAME without it", () -> exportName(run, 0));
    run.probe(
        "GO without it",
        () -> {
          run.needExport();
          need(run.facts().go(), "GO is not offered");
          ClientConnection connection = start(run, 0);
          byte[] query = Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE);
          Answer answer = connection.option(Nbd.OPT_GO, query);
          must(answer.isAck(), "GO is answered " + answer);
          firstReply(run, connection);
        });
  }

  private static ClientConnection start(CheckRun run, int noZeroes) throws IOException {
    ClientConnection connection = run.raw();
    int offered = connection.greeting();
    need((offered & noZeroes) == noZeroes, "NO_ZEROES is not offered");
    connection.send(new Packet().u32(Nbd.FIXED_NEWSTYLE | noZeroes).toBytes());
    if (run.uri().tls()) {
      run.startTls(connection);
    }
    return connection;
  }

  private static void exportName(CheckRun run, int noZeroes) throws IOException {
    run.needExport();
    ClientConnection connection = start(run, noZeroes);
    connection.send(Packet.option(Nbd.OPT_EXPORT_NAME, run.exportBytes()));
    ByteBuffer export = connection.read(10);
    long size = export.getLong();
    must(size == run.facts().size(), "the size is " + size + ", not " + run.facts().size());
    if (noZeroes == 0) {
      ByteBuffer zeroes = connection.read(124);
      while (zeroes.hasRemaining()) {
        must(zeroes.get() == 0, "the padding is not zero");
      }
    }
    firstReply(run, connection);
  }

  /** What comes after the negotiation must be the reply to the first request. */
  private static void firstReply(CheckRun run, ClientConnection connection) throws IOException {
    try {
      Reply reply =
          run.transmission(connection, ReplyDecoder.Mode.SIMPLE, List.of())
              .read(0, run.facts().minimum());
      must(reply.error() == 0, "the first READ is answered " + reply);
    } catch (Broken e) {
      throw Broken.here("the first READ: " + e.getMessage());
    }
  }

  private static void unknownOptions(CheckRun run) {
    int[] lengths = {0, 3, 1000, 4096};
    int[] options = {0x7fffffff, 4711, 0xdead, Nbd.OPT_PEEK_EXPORT};
    run.probe(
        "four unknown options and LIST on one connection",
        () -> {
          notForced(run);
          ClientConnection connection = run.negotiation();
          for (int i = 0; i < options.length; i++) {
            Answer answer = connection.option(options[i], new byte[lengths[i]]);
            must(
                answer.is(Nbd.ERR_UNSUP),
                "option " + options[i] + " with " + lengths[i] + " bytes is answered " + answer);
          }
          list(connection);
        });
  }

  private static void notForced(CheckRun run) {
    need(
        run.uri().tls() || run.facts().tls() != Facts.Tls.FORCEDTLS,
        "the server wants TLS: use a URI with nbds://");
  }

  private static Answer list(ClientConnection connection) throws IOException {
    Answer answer = connection.option(Nbd.OPT_LIST, new byte[0]);
    must(answer.isAck() || answer.is(Nbd.ERR_POLICY), "LIST is answered " + answer);
    return answer;
  }

  private static void replies(CheckRun run) {
    run.probe(
        "LIST, INFO, LIST",
        () -> {
          notForced(run);
          ClientConnection connection = run.negotiation();
          Answer first = list(connection);
          Answer _ = connection.option(Nbd.OPT_INFO, Packet.info(run.export()));
          // An error is allowed here, for instance because it has been listed already.
          Answer second = connection.option(Nbd.OPT_LIST, new byte[0]);
          must(
              !second.isAck() || first.before().size() == second.before().size(),
              "LIST names " + first.before().size() + " exports, then " + second.before().size());
        });
    run.probe(
        "an option in single bytes",
        () -> {
          notForced(run);
          ClientConnection connection = run.negotiation();
          for (byte part : Packet.option(Nbd.OPT_LIST, new byte[0])) {
            connection.send(new byte[] {part});
          }
          Answer answer = connection.answer(Nbd.OPT_LIST);
          must(answer.isAck() || answer.is(Nbd.ERR_POLICY), "it is answered " + answer);
        });
    run.probe(
        "ABORT",
        () -> {
          notForced(run);
          Answer answer = run.negotiation().option(Nbd.OPT_ABORT, new byte[0]);
          must(answer.isAck(), "it is answered " + answer);
        });
    run.should(
        "ABORT with data",
        () -> {
          notForced(run);
          Answer answer = run.negotiation().option(Nbd.OPT_ABORT, new byte[5]);
          recommended(answer.isAck(), "it is answered " + answer);
        });
    for (int option : new int[] {Nbd.OPT_LIST, Nbd.OPT_STRUCTURED_REPLY}) {
      run.should(
          Nbd.optionName(option) + " with data",
          () -> {
            notForced(run);
            Answer answer = run.negotiation().option(option, new byte[5]);
            recommended(
                answer.is(Nbd.ERR_INVALID) || answer.is(Nbd.ERR_UNSUP), "it is answered " + answer);
          });
    }
  }

  private static void unknown(CheckRun run) {
    run.probe(
        "INFO and GO, then INFO of the export",
        () -> {
          run.needExport();
          need(run.facts().go(), "GO is not offered");
          ClientConnection connection = run.negotiation();
          Answer info = connection.option(Nbd.OPT_INFO, Packet.info(NO_SUCH_EXPORT));
          need(!info.isAck(), "the server serves every name");
          must(mayBeUnknown(run, info), "INFO is answered " + info);
          Answer go = connection.option(Nbd.OPT_GO, Packet.info(NO_SUCH_EXPORT));
          must(mayBeUnknown(run, go), "GO is answered " + go);
          Answer after =
              connection.option(Nbd.OPT_INFO, Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE));
          must(after.isAck(), "INFO of the export is answered " + after + " then");
        });
    run.probe(
        "EXPORT_NAME",
        () -> {
          run.needExport();
          Answer info = run.negotiation().option(Nbd.OPT_INFO, Packet.info(NO_SUCH_EXPORT));
          need(!info.isAck(), "the server serves every name");
          ClientConnection connection = run.negotiation();
          connection.send(
              Packet.option(
                  Nbd.OPT_EXPORT_NAME,
                  NO_SUCH_EXPORT.getBytes(java.nio.charset.StandardCharsets.UTF_8)));
          connection.expectEnd("it was sent");
        });
  }

  /** Without TLS a server that has it may hide which exports there are. */
  private static boolean mayBeUnknown(CheckRun run, Answer answer) {
    return answer.is(Nbd.ERR_UNKNOWN)
        || (answer.is(Nbd.ERR_TLS_REQD)
            && !run.uri().tls()
            && run.facts().tls() != Facts.Tls.NOTLS);
  }
}
