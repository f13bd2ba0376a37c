package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import io.plinth.tools.conformance.ClientConnection.OptionReply;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** H7 to H11, S1 and S2: what is told of an export, strings, lengths, block sizes. */
final class ExportChecks {
  static final List<Check> HANDSHAKE =
      List.of(
          new Check(
              "H7", "INFO and GO: INFO_EXPORT, right flags, unknown requests", ExportChecks::info),
          new Check("H8", "block sizes told when asked for and enforced", ExportChecks::blockSizes),
          new Check("H9", "GO after INFO gives the same information", ExportChecks::goAfterInfo),
          new Check("H10", "strings: UTF-8, no NUL, at most 4096 bytes", ExportChecks::strings),
          new Check("H11", "huge option lengths are refused", ExportChecks::hugeOptions));
  static final List<Check> SIZES =
      List.of(
          new Check("S1", "block sizes as the text wants them", ExportChecks::sizes),
          new Check("S2", "SHOULD: TCP_NODELAY", ExportChecks::noDelay));

  private static final int ROUNDS = 9;
  private static final int CONNECTIONS = 5;
  private static final long NAGLE_MS = 20;

  private ExportChecks() {}

  private static Answer option(ClientConnection connection, int option, byte[] data)
      throws IOException {
    Answer answer = connection.option(option, data);
    must(answer.isAck(), Nbd.optionName(option) + " is answered " + answer);
    return answer;
  }

  private static void needGo(CheckRun run) {
    run.needExport();
    need(run.facts().go(), "INFO and GO are not offered");
  }

  private static void info(CheckRun run) {
    int[][] queries = {{3}, {3, 0x7fff, 200}, {3, 0, 1, 2}};
    for (int option : new int[] {Nbd.OPT_INFO, Nbd.OPT_GO}) {
      for (int[] query : queries) {
        run.probe(
            Nbd.optionName(option) + " with " + query.length + " requests",
            () -> {
              needGo(run);
              Answer answer = option(run.negotiation(), option, Packet.info(run.export(), query));
              ByteBuffer export = answer.info(Nbd.INFO_EXPORT);
              must(export != null, "ACK without INFO_EXPORT");
              flags(export.getShort(8) & 0xffff, false, false);
            });
      }
    }
    run.probe(
        "flags with structured replies",
        () -> {
          needGo(run);
          run.needStructured();
          flags(run.facts().structuredFlags(), true, false);
        });
    run.probe(
        "flags with extended headers",
        () -> {
          run.needExtended();
          flags(run.facts().extendedFlags(), true, true);
        });
  }

  private static void flags(int flags, boolean structured, boolean extended) {
    String hex = "0x" + Integer.toHexString(flags) + ": ";
    must((flags & Nbd.HAS_FLAGS) != 0, hex + "HAS_FLAGS is not set");
    must(structured || (flags & Nbd.SEND_DF) == 0, hex + "SEND_DF without structured replies");
    must(
        (flags & Nbd.SEND_FAST_ZERO) == 0 || (flags & Nbd.SEND_WRITE_ZEROES) != 0,
        hex + "SEND_FAST_ZERO without SEND_WRITE_ZEROES");
    must(
        extended || (flags & Nbd.BLOCK_STATUS_PAYLOAD) == 0,
        hex + "BLOCK_STATUS_PAYLOAD without extended headers");
  }

  private static void blockSizes(CheckRun run) {
    for (int option : new int[] {Nbd.OPT_INFO, Nbd.OPT_GO}) {
      run.probe(
          Nbd.optionName(option) + " that asks for them",
          () -> {
            needGo(run);
            byte[] query = Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE);
            Answer answer = run.negotiation().option(option, query);
            must(answer.isAck(), "it is answered " + answer);
          });
    }
    run.probe(
        "GO that does not ask for them",
        () -> {
          needGo(run);
          Answer answer = run.negotiation().option(Nbd.OPT_GO, Packet.info(run.export()));
          must(answer.isAck() || answer.is(Nbd.ERR_BLOCK_SIZE_REQD), "it is answered " + answer);
          must(
              answer.isAck() || run.facts().blockSizes(),
              "ERR_BLOCK_SIZE_REQD, and no block sizes when asked for");
        });
    run.probe(
        "a READ of one byte where none are told",
        () -> {
          needGo(run);
          need(!run.facts().blockSizes(), "block sizes are told");
          Reply reply = run.any().read(1, 1);
          must(reply.error() == 0, "it is answered " + reply);
        });
  }

  private static void goAfterInfo(CheckRun run) {
    for (int[] query : new int[][] {{3}, {1, 2, 3}}) {
      run.probe(
          "INFO and GO with " + query.length + " requests",
          () -> {
            needGo(run);
            ClientConnection connection = run.negotiation();
            byte[] data = Packet.info(run.export(), query);
            List<ByteBuffer> told = sorted(option(connection, Nbd.OPT_INFO, data));
            List<ByteBuffer> toldAgain = sorted(option(connection, Nbd.OPT_GO, data));
            must(told.equals(toldAgain), "INFO tells " + hex(told) + " and GO " + hex(toldAgain));
          });
    }
  }

  private static List<ByteBuffer> sorted(Answer answer) {
    List<ByteBuffer> all = new ArrayList<>();
    for (OptionReply reply : answer.before()) {
      all.add(reply.data());
    }
    all.sort(null);
    return all;
  }

  private static String hex(List<ByteBuffer> told) {
    HexFormat format = HexFormat.of();
    return told.stream()
        .map(data -> format.formatHex(Packet.rest(data.duplicate())))
        .collect(Collectors.joining(" "));
  }

  private static void strings(CheckRun run) {
    String name = "n".repeat(5000);
    refused(run, "an export name of 5000 bytes", Nbd.OPT_INFO, Packet.info(name, 3));
    refused(run, "an export name with a NUL", Nbd.OPT_INFO, Packet.info("a\0b", 3));
    byte[] tooLong = new Packet().u32(100).u32(0).u16(0).toBytes();
    refused(run, "a name longer than its option", Nbd.OPT_INFO, tooLong);
    byte[] negative = new Packet().u32(-1).u32(0).u16(0).toBytes();
    refused(run, "a name of 2^32 - 1 bytes", Nbd.OPT_GO, negative);
    byte[] requests = new Packet().u32(0).u16(9).u16(3).toBytes();
    refused(run, "fewer requests than announced", Nbd.OPT_GO, requests);
    run.probe(
        "a metadata query longer than its option",
        () -> {
          run.needStructured();
          ClientConnection connection = run.negotiation();
          Answer _ = option(connection, Nbd.OPT_STRUCTURED_REPLY, new byte[0]);
          byte[] data = new Packet().string(run.export()).u32(1).u32(5000).u32(0).toBytes();
          Answer answer = connection.option(Nbd.OPT_LIST_META_CONTEXT, data);
          need(!answer.is(Nbd.ERR_UNSUP), "LIST_META_CONTEXT is not offered");
          must(answer.is(Nbd.ERR_INVALID), "it is answered " + answer);
        });
    run.probe(
        "what LIST and INFO say",
        () -> {
          needGo(run);
          ClientConnection connection = run.negotiation();
          Answer _ = connection.option(Nbd.OPT_LIST, new byte[0]);
          Answer _ = option(connection, Nbd.OPT_INFO, Packet.info(run.export(), 1, 2, 3));
        });
  }

  /** The client breaks a rule here, so that the server may also hang up; others must not notice. */
  private static void refused(CheckRun run, String what, int option, byte[] data) {
    run.probe(
        what,
        () -> {
          needGo(run);
          try {
            Answer answer = run.negotiation().option(option, data);
            must(!answer.isAck(), "it is answered ACK");
          } catch (ClosedException _) {
            // A hard disconnect is the other way to refuse it.
          }
          Answer _ = option(run.negotiation(), Nbd.OPT_INFO, Packet.info(run.export(), 3));
        });
  }

  private static void hugeOptions(CheckRun run) {
    for (int option : new int[] {Nbd.OPT_INFO, 4711}) {
      run.probe(
          Nbd.optionName(option) + " of 4 GiB before TLS",
          () -> {
            ClientConnection connection = run.plain();
            try {
              connection.send(
                  new Packet().u64(Nbd.OPTION_MAGIC).u32(option).u32(-1).toBytes(),
                  new byte[1 << 20]);
              Answer answer = connection.answer(option);
              must(!answer.isAck(), "it is answered ACK");
            } catch (ClosedException _) {
              // That is a refusal as well.
            } catch (NoAnswerException _) {
              // The text lets a server pass over the data as it comes; its memory can't be seen.
              run.note(Nbd.optionName(option) + ": the server waits for all of it");
            }
            int _ = run.plain().option(Nbd.OPT_LIST, new byte[0]).before().size();
          });
    }
  }

  // S: sizes and the socket.

  private static void sizes(CheckRun run) {
    run.probe("minimum, preferred, maximum", () -> judgeSizes(run));
    run.should(
        "the defaults",
        () -> {
          run.needExport();
          need(!run.facts().blockSizes(), "block sizes are told");
          Transmission session = run.any();
          Reply one = session.read(1, 1);
          recommended(one.error() == 0, "a READ of 1 byte at 1 is answered " + one);
          long most = Math.min(Nbd.PORTABLE_PAYLOAD, run.facts().size());
          Reply longest = session.read(0, most);
          recommended(longest.error() == 0, "a READ of " + most + " is answered " + longest);
        });
  }

  private static void judgeSizes(CheckRun run) throws IOException {
    needGo(run);
    need(run.facts().blockSizes(), "no block sizes are told");
    Answer answer =
        option(run.negotiation(), Nbd.OPT_INFO, Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE));
    ByteBuffer sizes = answer.info(Nbd.INFO_BLOCK_SIZE);
    must(sizes != null, "they were told before, and not now");
    long minimum = sizes.getInt(0) & 0xffffffffL;
    long preferred = sizes.getInt(4) & 0xffffffffL;
    long maximum = sizes.getInt(8) & 0xffffffffL;
    long size = run.facts().size();
    must(Long.bitCount(minimum) == 1 && minimum <= 1 << 16, "the minimum is " + minimum);
    must(
        Long.bitCount(preferred) == 1 && preferred >= Math.max(minimum, 512),
        "the preferred size is " + preferred);
    must(
        maximum == 0xffffffffL || maximum % minimum == 0,
        "the maximum " + maximum + " is no multiple of the minimum " + minimum);
    must(
        maximum >= Math.min(preferred, size), "the maximum " + maximum + " is below the preferred");
    recommended(maximum >= Math.min(1 << 20, size), "the maximum is " + maximum);
    recommended(size % minimum == 0, "the size " + size + " is no multiple of the minimum");
    run.note(minimum + " / " + preferred + " / " + maximum);
  }

  /**
   * Without it the second of two small replies waits for the acknowledgement of the first, which
   * takes about 40 ms on Linux; not on every connection, so several are looked at.
   */
  private static void noDelay(CheckRun run) {
    run.should(
        "two small replies in a row",
        () -> {
          run.needExport();
          need(!run.uri().isUnix(), "a unix socket has no such delay");
          for (int i = 0; i < CONNECTIONS; i++) {
            long moreMs = TimeUnit.NANOSECONDS.toMillis(delayNs(run, run.any()));
            recommended(moreMs < NAGLE_MS, "the second comes " + moreMs + " ms later");
          }
          run.note("seen from its effect only");
        });
  }

  /** Returns how much longer two small replies take than one, by the medians of some rounds. */
  private static long delayNs(CheckRun run, Transmission session) throws IOException {
    long[] single = new long[ROUNDS];
    long[] both = new long[ROUNDS];
    int length = Math.max(512, run.facts().minimum());
    // A kernel acknowledges at once while a connection is young.
    for (int i = 0; i < 4 * ROUNDS; i++) {
      Reply _ = session.read(0, length);
    }
    for (int i = 0; i < ROUNDS; i++) {
      long begin = System.nanoTime();
      Reply _ = session.read(0, length);
      single[i] = System.nanoTime() - begin;
      if (session.connection().wire() instanceof SocketWire socket) {
        socket.delayAcknowledgements();
      }
      begin = System.nanoTime();
      // In one piece: a second request would carry the acknowledgement of the first reply.
      for (Request request : session.sendTogether(0, length, length)) {
        Reply _ = session.await(request);
      }
      both[i] = System.nanoTime() - begin;
    }
    Arrays.sort(single);
    Arrays.sort(both);
    return both[ROUNDS / 2] - single[ROUNDS / 2];
  }
}
