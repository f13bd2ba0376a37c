package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import java.io.IOException;
import java.util.List;

/** T: which mode the server is in, and what STARTTLS does. */
final class TlsChecks {
  static final List<Check> ALL =
      List.of(
          new Check("T1", "NOTLS: STARTTLS refused, never TLS_REQD", TlsChecks::noTls),
          new Check("T2", "FORCEDTLS: TLS_REQD to all but STARTTLS, ABORT", TlsChecks::forced),
          new Check("T3", "SELECTIVETLS: TLS_REQD for exports only", TlsChecks::selective),
          new Check("T4", "STARTTLS keeps no state and no plain bytes", TlsChecks::fresh),
          new Check("T5", "TLS 1.2 or newer, no way back to plain", TlsChecks::versions),
          new Check("T6", "one mode for the whole connection", TlsChecks::consistent));

  private static final int HANDSHAKE_RECORD = 22;
  private static final int ALERT_RECORD = 21;

  private TlsChecks() {}

  private static void needMode(CheckRun run, Facts.Tls mode) {
    need(run.facts().tls() == mode, "the server is in " + run.facts().tls() + " mode");
  }

  private static void needTls(CheckRun run) {
    need(run.facts().tls() != Facts.Tls.NOTLS, "the server is in NOTLS mode");
  }

  private static boolean refused(Answer answer) {
    return answer.is(Nbd.ERR_POLICY) || answer.is(Nbd.ERR_UNSUP) || answer.is(Nbd.ERR_PLATFORM);
  }

  /** Options as any client may send them, each with its data. */
  private static byte[] data(CheckRun run, int option) {
    return switch (option) {
      case Nbd.OPT_INFO, Nbd.OPT_GO -> Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE);
      case Nbd.OPT_LIST_META_CONTEXT, Nbd.OPT_SET_META_CONTEXT -> Packet.meta(run.export());
      default -> new byte[0];
    };
  }

  private static void noTls(CheckRun run) {
    run.probe(
        "STARTTLS",
        () -> {
          needMode(run, Facts.Tls.NOTLS);
          ClientConnection connection = run.plain();
          Answer answer = connection.option(Nbd.OPT_STARTTLS, new byte[0]);
          must(refused(answer), "it is answered " + answer);
          Answer list = connection.option(Nbd.OPT_LIST, new byte[0]);
          must(!list.is(Nbd.ERR_TLS_REQD), "LIST is answered " + list);
        });
    run.probe(
        "other options",
        () -> {
          needMode(run, Facts.Tls.NOTLS);
          ClientConnection connection = run.plain();
          for (int option : new int[] {3, 6, 8, 9, 10, 11, 4711, 7}) {
            Answer answer = connection.option(option, data(run, option));
            must(!answer.is(Nbd.ERR_TLS_REQD), Nbd.optionName(option) + " is answered " + answer);
          }
        });
    run.probe(
        "INFO of an unknown export",
        () -> {
          needMode(run, Facts.Tls.NOTLS);
          Answer answer = run.plain().option(Nbd.OPT_INFO, Packet.info("no-such-export-tls"));
          must(!answer.is(Nbd.ERR_TLS_REQD), "it is answered " + answer);
        });
  }

  private static void forced(CheckRun run) {
    run.probe(
        "options before STARTTLS",
        () -> {
          needMode(run, Facts.Tls.FORCEDTLS);
          ClientConnection connection = run.plain();
          for (int option : new int[] {3, 6, 7, 8, 9, 10, 11, 4711}) {
            Answer answer = connection.option(option, data(run, option));
            must(
                answer.is(Nbd.ERR_TLS_REQD) && answer.before().isEmpty(),
                Nbd.optionName(option) + " is answered " + answer);
          }
          Answer abort = connection.option(Nbd.OPT_ABORT, new byte[0]);
          must(abort.isAck(), "ABORT is answered " + abort);
        });
    run.probe(
        "EXPORT_NAME",
        () -> {
          needMode(run, Facts.Tls.FORCEDTLS);
          exportNameEnds(run);
        });
  }

  private static void exportNameEnds(CheckRun run) throws IOException {
    ClientConnection connection = run.plain();
    connection.send(Packet.option(Nbd.OPT_EXPORT_NAME, run.exportBytes()));
    connection.expectEnd("it was sent");
  }

  private static void selective(CheckRun run) {
    run.probe(
        "options that are about no export",
        () -> {
          needMode(run, Facts.Tls.SELECTIVETLS);
          ClientConnection connection = run.plain();
          for (int option : new int[] {3, 8, 11, 4711}) {
            Answer answer = connection.option(option, new byte[0]);
            must(!answer.is(Nbd.ERR_TLS_REQD), Nbd.optionName(option) + " is answered " + answer);
          }
        });
    run.probe(
        "the export",
        () -> {
          needMode(run, Facts.Tls.SELECTIVETLS);
          byte[] query = Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE);
          Answer go = run.plain().option(Nbd.OPT_GO, query);
          if (go.is(Nbd.ERR_TLS_REQD)) {
            exportNameEnds(run);
          }
        });
  }

  private static void needEncryption(CheckRun run) {
    needTls(run);
    need(run.options().uri().tls(), "the server has TLS: use a URI with nbds://");
  }

  private static void fresh(CheckRun run) {
    run.probe(
        "what was negotiated before is gone",
        () -> {
          needEncryption(run);
          run.needExport();
          ClientConnection connection = run.plain();
          Answer _ = connection.option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]);
          Answer _ =
              connection.option(
                  Nbd.OPT_SET_META_CONTEXT, Packet.meta(run.export(), Nbd.ALLOCATION));
          run.startTls(connection);
          Reply reply =
              run.enter(connection, ReplyDecoder.Mode.SIMPLE, List.of())
                  .read(0, run.facts().minimum());
          must(reply.error() == 0, "a READ is answered " + reply);
        });
    run.probe(
        "plain bytes behind STARTTLS are not looked at",
        () -> {
          needEncryption(run);
          injection(run);
        });
    run.probe(
        "a second STARTTLS",
        () -> {
          needEncryption(run);
          Answer answer = run.negotiation().option(Nbd.OPT_STARTTLS, new byte[0]);
          must(answer.is(Nbd.ERR_INVALID), "it is answered " + answer);
        });
    run.should(
        "STARTTLS with data",
        () -> {
          needTls(run);
          Answer answer = run.plain().option(Nbd.OPT_STARTTLS, new byte[5]);
          recommended(answer.is(Nbd.ERR_INVALID), "it is answered " + answer);
        });
  }

  /** Either the handshake fails, or what was sent in clear has no effect behind it. */
  private static void injection(CheckRun run) throws IOException {
    ClientConnection connection = run.plain();
    connection.send(Packet.option(Nbd.OPT_STARTTLS, new byte[0]), Packet.option(4711, new byte[0]));
    Answer answer = connection.answer(Nbd.OPT_STARTTLS);
    must(answer.isAck(), "STARTTLS is answered " + answer);
    try {
      connection.switchTo(
          TlsWire.handshake(connection.wire(), run.options().uri(), connection.deadline()));
    } catch (IOException _) {
      return;
    }
    try {
      Answer abort = connection.option(Nbd.OPT_ABORT, new byte[0]);
      must(abort.isAck(), "ABORT is answered " + abort);
    } catch (Broken _) {
      throw Broken.here("an option that was sent in clear is answered under TLS");
    }
  }

  private static void versions(CheckRun run) {
    run.probe(
        "TLS 1.1 is refused",
        () -> {
          needTls(run);
          ClientConnection connection = started(run);
          connection.send(oldHello());
          int type = firstByte(connection);
          if (type == HANDSHAKE_RECORD) {
            // RFC 5246 leaves the choice; RFC 8996 wants it refused.
            throw Broken.should("the server goes on with it");
          }
          must(type < 0 || type == ALERT_RECORD, "a record of type " + type);
        });
    run.probe(
        "a failed handshake ends the session",
        () -> {
          needTls(run);
          ClientConnection connection = started(run);
          // Options in clear instead of a handshake.
          connection.send(Packet.option(4711, new byte[0]), Packet.option(4711, new byte[64]));
          int type = firstByte(connection);
          must(type < 0 || type == ALERT_RECORD, "an answer that begins with byte " + type);
          if (type == ALERT_RECORD) {
            int _ = connection.read(6).remaining();
            connection.expectEnd("the alert");
          }
        });
  }

  private static ClientConnection started(CheckRun run) throws IOException {
    ClientConnection connection = run.plain();
    Answer answer = connection.option(Nbd.OPT_STARTTLS, new byte[0]);
    must(answer.isAck(), "STARTTLS is answered " + answer);
    return connection;
  }

  private static int firstByte(ClientConnection connection) throws IOException {
    try {
      return connection.read(1).get() & 0xff;
    } catch (ClosedException _) {
      return -1;
    }
  }

  /** A client hello for TLS 1.1 at most, with suites that this version has. */
  private static byte[] oldHello() {
    int[] suites = {0xc013, 0xc014, 0xc009, 0xc00a, 0x002f, 0x0035};
    Packet body = new Packet().u16(0x0302).bytes(new byte[32]).bytes(new byte[] {0});
    Packet _ = body.u16(2 * suites.length);
    for (int suite : suites) {
      Packet _ = body.u16(suite);
    }
    // No compression; the groups that everybody has.
    byte[] groups = new Packet().u16(10).u16(6).u16(4).u16(23).u16(24).toBytes();
    byte[] hello = body.bytes(new byte[] {1, 0}).u16(groups.length).bytes(groups).toBytes();
    return new Packet()
        .bytes(new byte[] {HANDSHAKE_RECORD})
        .u16(0x0301)
        .u16(hello.length + 4)
        .u32(1 << 24 | hello.length)
        .bytes(hello)
        .toBytes();
  }

  private static void consistent(CheckRun run) {
    run.probe(
        "STARTTLS twice, or LIST twice",
        () -> {
          ClientConnection connection = run.plain();
          if (run.facts().tls() == Facts.Tls.NOTLS) {
            for (int i = 0; i < 2; i++) {
              Answer answer = connection.option(Nbd.OPT_STARTTLS, new byte[0]);
              must(!answer.isAck(), "STARTTLS is answered ACK now");
              Answer _ = connection.option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]);
            }
          } else {
            boolean forced = run.facts().tls() == Facts.Tls.FORCEDTLS;
            for (int i = 0; i < 2; i++) {
              Answer answer = connection.option(Nbd.OPT_LIST, new byte[0]);
              must(answer.is(Nbd.ERR_TLS_REQD) == forced, "LIST is answered " + answer + " now");
            }
          }
        });
    run.probe(
        "STARTTLS without fixed newstyle",
        () -> {
          ClientConnection connection = run.raw();
          int _ = connection.greeting();
          connection.send(
              new Packet().u32(0).toBytes(), Packet.option(Nbd.OPT_STARTTLS, new byte[0]));
          try {
            Answer answer = connection.answer(Nbd.OPT_STARTTLS);
            must(!answer.isAck(), "it is answered ACK");
          } catch (ClosedException _) {
            // Such a client may send EXPORT_NAME only.
          }
        });
    run.probe(
        "EXPORT_NAME without fixed newstyle",
        () -> {
          run.needExport();
          need(run.facts().tls() == Facts.Tls.NOTLS, "the server may hang up: it has TLS");
          ClientConnection connection = run.raw();
          int _ = connection.greeting();
          connection.send(
              new Packet().u32(0).toBytes(), Packet.option(Nbd.OPT_EXPORT_NAME, run.exportBytes()));
          long size = connection.read(134).getLong();
          must(size == run.facts().size(), "the size is " + size);
        });
  }
}
