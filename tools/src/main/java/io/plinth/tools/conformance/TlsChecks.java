package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;

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
    Server other = run.targets().forcedTls();
    boolean here = run.facts().tls() == Facts.Tls.FORCEDTLS;
    if (here) {
      forcedHere(run);
    }
    if (other != null) {
      run.at(other, () -> forcedHere(run));
    } else if (!here) {
      run.skip(otherMode(run, "--forced-tls-uri"));
    }
  }

  private static void forcedHere(CheckRun run) {
    run.probe(
        "options before STARTTLS",
        () -> {
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
    run.probe("EXPORT_NAME", () -> exportNameEnds(run, run.export()));
    run.probe("options under TLS", () -> servedUnderTls(run, run.export()));
  }

  /** No option is answered TLS_REQD any more, and the export can be read. */
  private static void servedUnderTls(CheckRun run, String export) throws IOException {
    needUri(run);
    ClientConnection connection = run.negotiation();
    for (int option : new int[] {Nbd.OPT_LIST, 4711}) {
      Answer answer = connection.option(option, new byte[0]);
      must(!answer.is(Nbd.ERR_TLS_REQD), Nbd.optionName(option) + " is answered " + answer);
    }
    Answer go = connection.option(Nbd.OPT_GO, Packet.info(export, Nbd.INFO_BLOCK_SIZE));
    must(go.isAck(), "GO to '" + export + "' is answered " + go);
    Reply reply =
        run.transmission(connection, ReplyDecoder.Mode.SIMPLE, List.of()).read(0, Content.BLOCK);
    must(reply.error() == 0, "a READ of '" + export + "' is answered " + reply);
  }

  private static void exportNameEnds(CheckRun run, String export) throws IOException {
    ClientConnection connection = run.plain();
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    connection.send(Packet.option(Nbd.OPT_EXPORT_NAME, name));
    connection.expectEnd("EXPORT_NAME of '" + export + "' was sent");
  }

  private static void selective(CheckRun run) {
    Server other = run.targets().selectiveTls();
    boolean here = run.facts().tls() == Facts.Tls.SELECTIVETLS;
    if (here) {
      selectiveHere(run, false, other == null);
    }
    if (other != null) {
      run.at(other, () -> selectiveHere(run, true, true));
    } else if (!here) {
      run.skip(otherMode(run, "--selective-tls-uri"));
    }
  }

  private static String otherMode(CheckRun run, String option) {
    return "the server is in " + run.facts().tls() + " mode; " + option + " gives another one";
  }

  /**
   * Probes a server.
   *
   * @param open the export of the URI does not need TLS
   * @param secret the export that needs it is on this server
   */
  private static void selectiveHere(CheckRun run, boolean open, boolean secret) {
    run.probe(
        "options that are about no export",
        () -> {
          ClientConnection connection = run.plain();
          for (int option : new int[] {3, 8, 11, 4711}) {
            Answer answer = connection.option(option, new byte[0]);
            must(!answer.is(Nbd.ERR_TLS_REQD), Nbd.optionName(option) + " is answered " + answer);
          }
        });
    if (open) {
      run.probe(
          "the export that does not need it",
          () -> {
            byte[] query = Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE);
            for (int option : new int[] {Nbd.OPT_INFO, Nbd.OPT_GO}) {
              Answer answer = run.plain().option(option, query);
              must(answer.isAck(), Nbd.optionName(option) + " is answered " + answer);
            }
            servedUnderTls(run, run.export());
          });
    } else {
      run.probe(
          "the export",
          () -> {
            byte[] query = Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE);
            if (run.plain().option(Nbd.OPT_GO, query).is(Nbd.ERR_TLS_REQD)) {
              exportNameEnds(run, run.export());
            }
          });
    }
    run.probe(
        "an export that needs it",
        () -> {
          String export = run.options().means().tlsExport();
          need(secret && export != null, "no export that needs TLS was named: --tls-export");
          needsTls(run, export);
        });
  }

  private static void needsTls(CheckRun run, String export) throws IOException {
    byte[] query = Packet.info(export, Nbd.INFO_BLOCK_SIZE);
    ClientConnection connection = run.plain();
    for (int option : new int[] {Nbd.OPT_INFO, Nbd.OPT_GO, Nbd.OPT_INFO}) {
      Answer answer = connection.option(option, query);
      must(
          answer.is(Nbd.ERR_TLS_REQD) && answer.before().isEmpty(),
          Nbd.optionName(option) + " of '" + export + "' is answered " + answer);
    }
    exportNameEnds(run, export);
    servedUnderTls(run, export);
  }

  private static void needUri(CheckRun run) {
    need(run.uri().tls(), "the server has TLS: use a URI with nbds://");
  }

  private static void needEncryption(CheckRun run) {
    needTls(run);
    needUri(run);
  }

  /** Servers that were given to be looked at for their TLS. */
  private static List<Server> others(CheckRun run) {
    return Stream.of(run.targets().forcedTls(), run.targets().selectiveTls())
        .filter(Objects::nonNull)
        .toList();
  }

  /** Probes each server that there is; one without TLS says so. */
  private static void each(CheckRun run, Consumer<CheckRun> probes) {
    if (others(run).isEmpty() || run.facts().tls() != Facts.Tls.NOTLS) {
      probes.accept(run);
    }
    others(run).forEach(server -> run.at(server, () -> probes.accept(run)));
  }

  private static void fresh(CheckRun run) {
    each(run, TlsChecks::freshHere);
  }

  private static void freshHere(CheckRun run) {
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
      run.encrypt(connection);
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
    each(run, TlsChecks::versionsHere);
  }

  private static void versionsHere(CheckRun run) {
    run.probe(
        "TLS 1.2",
        () -> {
          needEncryption(run);
          ClientConnection connection = started(run);
          run.encrypt(connection, "TLSv1.2");
          Answer answer = connection.option(Nbd.OPT_LIST, new byte[0]);
          must(!answer.is(Nbd.ERR_TLS_REQD), "LIST under it is answered " + answer);
        });
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
    consistentHere(run);
    others(run).forEach(server -> run.at(server, () -> consistentHere(run)));
  }

  private static void consistentHere(CheckRun run) {
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
