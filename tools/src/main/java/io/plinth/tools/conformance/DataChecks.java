package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;

/** D: what was written is there, and who sees it when. */
final class DataChecks {
  static final List<Check> ALL =
      List.of(
          new Check("D1", "FUA accepted on all commands, and seen", DataChecks::forcedUnit),
          new Check("D2", "FLUSH covers completed writes", DataChecks::flush),
          new Check("D3", "reads after a reply see the change", DataChecks::readAfterWrite));

  private DataChecks() {}

  private static void needFua(CheckRun run) {
    run.needExport();
    need(run.facts().has(Nbd.SEND_FUA), "SEND_FUA is not set");
  }

  private static void forcedUnit(CheckRun run) {
    run.probe(
        "READ and FLUSH with FUA",
        () -> {
          needFua(run);
          Transmission session = run.any();
          Content.succeed(session, Nbd.READ, Nbd.FUA, 0, Content.BLOCK);
          if (run.facts().has(Nbd.SEND_FLUSH)) {
            Content.succeed(session, Nbd.FLUSH, Nbd.FUA, 0, 0);
          }
        });
    run.probe(
        "CACHE with FUA",
        () -> {
          needFua(run);
          need(run.facts().has(Nbd.SEND_CACHE), "SEND_CACHE is not set");
          accepted(run, run.any(), Nbd.CACHE);
        });
    run.probe(
        "BLOCK_STATUS with FUA",
        () -> {
          needFua(run);
          run.needAllocation();
          accepted(run, run.structured(Nbd.ALLOCATION), Nbd.BLOCK_STATUS);
        });
    run.probe(
        "WRITE with FUA, read over another connection",
        () -> {
          needFua(run);
          run.needWrite();
          Transmission session = run.any();
          for (int i = 0; i < 8; i++) {
            byte[] data = Content.random(100 + i, Content.BLOCK);
            Reply reply = session.write(Nbd.FUA, 0, data);
            must(reply.error() == 0, "it is answered " + reply);
            Content.expect(session, 0, data);
            Content.expect(other(run, session), 0, data);
          }
          run.note("whether it is on the disk cannot be seen from outside");
        });
    run.probe(
        "TRIM and WRITE_ZEROES with FUA",
        () -> {
          needFua(run);
          run.needWrite();
          Transmission session = run.any();
          if (run.facts().has(Nbd.SEND_TRIM)) {
            accepted(run, session, Nbd.TRIM);
          }
          if (run.facts().has(Nbd.SEND_WRITE_ZEROES)) {
            accepted(run, session, Nbd.WRITE_ZEROES);
            Content.expect(other(run, session), 0, new byte[Content.BLOCK]);
          }
        });
  }

  /** A command may fail for reasons of its own; with FUA it must do what it does without. */
  private static void accepted(CheckRun run, Transmission session, int command) throws IOException {
    Reply without = session.call(command, 0, 0, Content.BLOCK);
    Reply with = session.call(command, Nbd.FUA, 0, Content.BLOCK);
    must(
        with.error() == without.error(),
        with.request() + " is answered " + with + ", and without " + without);
    Content.inSync(run, session);
  }

  /** Returns another connection where the server says that all see the same, or this one. */
  private static Transmission other(CheckRun run, Transmission session) throws IOException {
    return run.facts().has(Nbd.CAN_MULTI_CONN) ? run.any() : session;
  }

  private static void needFlush(CheckRun run) {
    run.needExport();
    need(run.facts().has(Nbd.SEND_FLUSH), "SEND_FLUSH is not set");
  }

  private static void flush(CheckRun run) {
    run.probe(
        "FLUSH",
        () -> {
          needFlush(run);
          Content.succeed(run.any(), Nbd.FLUSH, 0, 0, 0);
        });
    run.probe(
        "WRITE and FLUSH, read over another connection",
        () -> {
          needFlush(run);
          run.needWrite();
          need(run.facts().has(Nbd.CAN_MULTI_CONN), "CAN_MULTI_CONN is not set");
          Transmission writer = run.any();
          Transmission reader = run.any();
          for (int i = 0; i < 8; i++) {
            byte[] data = Content.random(200 + i, Content.BLOCK);
            // So that something old could be cached.
            Reply _ = reader.read(0, Content.BLOCK);
            Content.write(writer, 0, data);
            Content.succeed(i % 2 == 0 ? writer : reader, Nbd.FLUSH, 0, 0, 0);
            Content.expect(reader, 0, data);
          }
        });
  }

  private static void readAfterWrite(CheckRun run) {
    run.probe(
        "WRITE",
        () -> {
          run.needWrite();
          Transmission session = run.any();
          byte[] data = Content.random(300, 4 * Content.BLOCK);
          Content.write(session, 0, data);
          // Parts of it again, across blocks.
          int unit = run.facts().minimum();
          for (int offset : new int[] {unit, Content.BLOCK - unit, 3 * Content.BLOCK - unit}) {
            byte[] part = Content.random(301 + offset, 2 * unit);
            Content.write(session, offset, part);
            System.arraycopy(part, 0, data, offset, part.length);
          }
          Content.expect(session, 0, Arrays.copyOf(data, 2 * Content.BLOCK));
          Content.expect(
              session,
              2L * Content.BLOCK,
              Arrays.copyOfRange(data, 2 * Content.BLOCK, 4 * Content.BLOCK));
        });
    for (int flags : new int[] {0, Nbd.NO_HOLE}) {
      run.probe("WRITE_ZEROES" + (flags == 0 ? "" : " with NO_HOLE"), () -> zeroes(run, flags));
    }
    run.probe("WRITE_ZEROES with FAST_ZERO", () -> fastZero(run));
    run.probe(
        "TRIM leaves its neighbours alone",
        () -> {
          run.needWrite();
          need(run.facts().has(Nbd.SEND_TRIM), "SEND_TRIM is not set");
          Transmission session = run.any();
          byte[] data = Content.random(400, 3 * Content.BLOCK);
          Content.write(session, 0, data);
          Reply reply = session.call(Nbd.TRIM, 0, Content.BLOCK, Content.BLOCK);
          must(reply.error() != Nbd.ENOTSUP, "it is answered " + reply);
          Content.expect(session, 0, Arrays.copyOf(data, Content.BLOCK));
          Content.expect(
              session,
              2L * Content.BLOCK,
              Arrays.copyOfRange(data, 2 * Content.BLOCK, data.length));
        });
    run.probe(
        "CACHE changes nothing",
        () -> {
          run.needWrite();
          need(run.facts().has(Nbd.SEND_CACHE), "SEND_CACHE is not set");
          Transmission session = run.any();
          byte[] data = Content.random(500, Content.BLOCK);
          Content.write(session, 0, data);
          Reply _ = session.call(Nbd.CACHE, 0, 0, Content.BLOCK);
          Content.expect(session, 0, data);
        });
  }

  private static void needZeroes(CheckRun run) {
    run.needWrite();
    need(run.facts().has(Nbd.SEND_WRITE_ZEROES), "SEND_WRITE_ZEROES is not set");
  }

  private static void zeroes(CheckRun run, int flags) throws IOException {
    needZeroes(run);
    Transmission session = run.any();
    byte[] data = Content.random(600, 3 * Content.BLOCK);
    Content.write(session, 0, data);
    Content.succeed(session, Nbd.WRITE_ZEROES, flags, Content.BLOCK, Content.BLOCK);
    Content.expect(session, 0, Arrays.copyOf(data, Content.BLOCK));
    Content.expect(session, Content.BLOCK, new byte[Content.BLOCK]);
    Content.expect(
        session, 2L * Content.BLOCK, Arrays.copyOfRange(data, 2 * Content.BLOCK, data.length));
  }

  /** Quick failure is as good as success; what it fails on must stay, which is a SHOULD. */
  private static void fastZero(CheckRun run) throws IOException {
    needZeroes(run);
    need(run.facts().has(Nbd.SEND_FAST_ZERO), "SEND_FAST_ZERO is not set");
    Transmission session = run.any();
    byte[] data = Content.random(700, Content.BLOCK);
    Content.write(session, 0, data);
    Reply reply = session.call(Nbd.WRITE_ZEROES, Nbd.FAST_ZERO, 0, Content.BLOCK);
    must(reply.error() == 0 || reply.error() == Nbd.ENOTSUP, "it is answered " + reply);
    byte[] now = session.read(0, Content.BLOCK).data();
    if (reply.error() == 0) {
      must(Arrays.equals(now, new byte[Content.BLOCK]), "success, and other data than zeroes");
    } else {
      recommended(Arrays.equals(now, data), "ENOTSUP, and the data has changed");
    }
  }

  /** Z: the experimental RESIZE. */
  static void resize(CheckRun run) {
    run.probe(
        "RESIZE to the size that it has",
        () -> {
          needResize(run);
          run.needWrite();
          Reply reply = run.any().call(Nbd.RESIZE, 0, run.facts().size(), 0);
          mayBe(reply);
          toldSize(run, run.facts().size());
        });
    run.probe(
        "RESIZE of a read-only export",
        () -> {
          needResize(run);
          need(run.facts().has(Nbd.READ_ONLY), "the export is not read-only");
          Transmission session = run.any();
          Reply reply = session.call(Nbd.RESIZE, 0, run.facts().size(), 0);
          must(reply.error() == Nbd.EPERM, "it is answered " + reply);
          Content.inSync(run, session);
        });
    run.probe("RESIZE to a size between two blocks", () -> refusedResize(run, 1, 0));
    run.probe("RESIZE with a length", () -> refusedResize(run, 0, run.facts().minimum()));
    run.probe("growth and back, with a READ in flight", () -> growth(run));
  }

  private static void needResize(CheckRun run) {
    run.needExport();
    need(run.facts().has(Nbd.SEND_RESIZE), "SEND_RESIZE is not set");
  }

  /** Success, or one of the errors that the text has for it. */
  private static void mayBe(Reply reply) {
    must(
        List.of(0, Nbd.EPERM, Nbd.EIO, Nbd.ENOSPC, Nbd.ESHUTDOWN).contains(reply.error()),
        reply.request() + " is answered " + reply);
  }

  /** What is wrong must change nothing; EINVAL, or EPERM where no size is changed at all. */
  private static void refusedResize(CheckRun run, int more, int length) throws IOException {
    needResize(run);
    run.needWrite();
    need(more == 0 || run.facts().minimum() > 1, "blocks are as small as a byte");
    Transmission session = run.any();
    Reply reply = session.call(Nbd.RESIZE, 0, run.facts().size() + more, length);
    must(reply.error() != 0, reply.request() + " is answered " + reply);
    recommended(
        reply.error() == Nbd.EINVAL || reply.error() == Nbd.EPERM,
        reply.request() + " is answered " + reply);
    Content.inSync(run, session);
    toldSize(run, run.facts().size());
  }

  private static void growth(CheckRun run) throws IOException {
    needResize(run);
    run.needWrite();
    long size = run.facts().size();
    long larger = size + Content.BLOCK;
    int unit = Math.max(512, run.facts().minimum());
    Transmission other = run.any();
    Transmission session = run.any();
    byte[] data = Content.random(800, Content.BLOCK);
    Content.write(session, 0, data);
    Request before = session.send(Nbd.READ, 0, 0, Content.BLOCK);
    Reply grown = session.await(session.send(Nbd.RESIZE, 0, larger, 0));
    Reply read = session.await(before);
    must(
        read.error() == 0 && Arrays.equals(read.data(), data),
        "a READ that was in flight is answered " + read);
    mayBe(grown);
    if (grown.error() != 0) {
      run.note("growth is answered " + grown);
      toldSize(run, size);
      return;
    }
    Content.succeed(session, Nbd.READ, 0, larger - unit, unit);
    toldSize(run, larger);
    Content.expect(other, 0, data);
    Reply back = session.call(Nbd.RESIZE, 0, size, 0);
    mayBe(back);
    if (back.error() == 0) {
      Reply beyond = session.read(size, unit);
      must(beyond.error() != 0, beyond.request() + " is answered " + beyond + " after shrinking");
      toldSize(run, size);
    } else {
      run.note("it stays " + Content.BLOCK + " bytes larger: shrinking is answered " + back);
    }
    Content.expect(session, 0, data);
  }

  private static void toldSize(CheckRun run, long expected) throws IOException {
    ByteBuffer export =
        run.negotiation()
            .option(Nbd.OPT_INFO, Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE))
            .info(Nbd.INFO_EXPORT);
    must(export != null, "INFO does not tell the size then");
    long size = export.getLong(0);
    must(size == expected, "INFO tells " + size + " then, not " + expected);
  }
}
