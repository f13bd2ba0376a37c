package io.plinth.tools.cli;

import io.plinth.target.admin.ScrubInfo;
import io.plinth.target.admin.Sizes;
import java.io.PrintWriter;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Writes for people how it stands with scrubs. */
final class ScrubTable {
  private ScrubTable() {}

  static ScrubInfo read(JsonNode answer) {
    return Json.convert(answer, ScrubInfo.class);
  }

  static void print(ScrubInfo info, PrintWriter out) {
    Table table = new Table("ll", "state", info.state().word());
    for (ScrubInfo.LogScrub log : info.logs()) {
      String name = "log-" + log.log();
      if (log.current() != null) {
        table.row(name, state(log));
      }
      table.row(name + " last", log.last() == null ? "none since the server started" : last(log));
      if (log.nextMs() != null) {
        table.row(name + " next", time(log.nextMs()));
      }
    }
    table.print(out);
    if (!info.damaged().isEmpty()) {
      out.println();
      damaged(info.damaged(), out);
    } else if (info.logs().stream().anyMatch(ScrubTable::hasFound)) {
      out.println("what was found damaged has been overwritten, deleted or mended since");
    }
    if (info.mendedBlocks() > 0) {
      out.println();
      mended(info, out);
    }
  }

  private static void mended(ScrubInfo info, PrintWriter out) {
    out.println("mended since the server started, blocks: " + info.mendedBlocks());
    Table table = new Table("lrrll", "LOG", "SEGMENT", "OFFSET", "MENDED", "WHERE");
    for (ScrubInfo.Mended mended : info.mended()) {
      table.row(
          "log-" + mended.log(),
          Integer.toString(mended.segment()),
          Long.toString(mended.offset()),
          "mended from node " + mended.node(),
          mended.volume() + " block " + mended.block());
    }
    table.print(out);
  }

  private static boolean hasFound(ScrubInfo.LogScrub log) {
    return log.last() != null && log.last().damagedBlocks() > 0;
  }

  /** Returns how far a pass is, in a line. */
  static String state(ScrubInfo.LogScrub log) {
    ScrubInfo.Pass pass = log.current();
    if (pass == null) {
      return log.state().word();
    }
    return pass.percent()
        + "%, "
        + pass.segmentsDone()
        + " of "
        + pass.segmentsTotal()
        + " segments, "
        + read(log, pass)
        + (pass.remainingMs() == null ? "" : ", " + Durations.uptime(pass.remainingMs()) + " left")
        + ", "
        + blocks(pass.damagedBlocks());
  }

  private static String last(ScrubInfo.LogScrub log) {
    ScrubInfo.Pass pass = log.last();
    return (pass.complete() ? "completed " : "stopped ")
        + time(pass.endedMs())
        + " after "
        + Durations.uptime(pass.endedMs() - pass.startedMs())
        + ", "
        + read(log, pass)
        + ", "
        + blocks(pass.damagedBlocks());
  }

  private static String read(ScrubInfo.LogScrub log, ScrubInfo.Pass pass) {
    String source = log.pastPageCache() ? "the disk" : "the page cache";
    return pass.bytesRead() == 0
        ? "nothing read"
        : Sizes.format(pass.bytesRead()) + " read from " + source;
  }

  private static String blocks(long count) {
    return count == 0 ? "nothing damaged" : "damaged blocks: " + count;
  }

  private static String time(long epochMs) {
    return Instant.ofEpochMilli(epochMs).truncatedTo(ChronoUnit.SECONDS).toString();
  }

  private static void damaged(List<ScrubInfo.Damage> damaged, PrintWriter out) {
    Table table = new Table("lrrll", "LOG", "SEGMENT", "OFFSET", "DAMAGE", "WHERE");
    for (ScrubInfo.Damage damage : damaged) {
      table.row(
          "log-" + damage.log(),
          Integer.toString(damage.segment()),
          Long.toString(damage.offset()),
          damage.what(),
          where(damage));
    }
    table.print(out);
  }

  private static String where(ScrubInfo.Damage damage) {
    List<String> parts = new ArrayList<>();
    if (!damage.role().isEmpty()) {
      parts.add(damage.role());
    }
    for (ScrubInfo.Owner owner : damage.owners()) {
      String snapshot = owner.snapshot() == null ? "" : "@" + owner.snapshot();
      parts.add(owner.volume() + snapshot + " block " + owner.block());
    }
    return parts.isEmpty() ? "not known, blocks: " + damage.blocks() : String.join(", ", parts);
  }
}
