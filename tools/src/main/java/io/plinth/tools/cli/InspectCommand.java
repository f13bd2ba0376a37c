package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.main.StartupException;
import io.plinth.target.volume.CheckpointContent;
import io.plinth.target.volume.IndexWalk;
import io.plinth.tools.inspect.Inspector;
import io.plinth.tools.inspect.Report;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code plinth inspect}. */
@Command(
    name = "inspect",
    description = {
      "Show what is in a data directory that no server uses: superblocks, segments, records, the",
      "checkpoint, the index, and what of each segment is alive. Reads only. The first thing that is",
      "broken is told with its place, and ends the command with 1."
    },
    footer = {
      "",
      "Examples:",
      "  plinth inspect plinth-data",
      "  plinth inspect plinth-data --verify",
      "  plinth inspect plinth-data --json"
    })
final class InspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "DATA-DIR", description = "The data directory.")
  private Path directory;

  @Option(names = "--verify", description = "Read every live block and check its checksum.")
  private boolean verify;

  @Option(names = "--json", description = "Write JSON instead of text.")
  private boolean json;

  @Override
  public Integer call() {
    Report report;
    try {
      report = Inspector.inspect(directory, verify);
    } catch (StartupException e) {
      throw new CliException(ExitCodes.FAILED, "refused", e.getMessage(), e);
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.pretty(Json.tree(report)));
    } else {
      out.println("data directory " + report.dataDir());
      report.logs().forEach(log -> print(log, out));
    }
    out.flush();
    if (report.problem() != null) {
      throw new CliException(ExitCodes.FAILED, "broken", report.problem().message(), null);
    }
    return ExitCodes.OK;
  }

  private static void print(Report.Log log, PrintWriter out) {
    out.println();
    out.println(
        log.name()
            + (log.segmentBytes() == null
                ? ""
                : ", segments of " + Sizes.format(log.segmentBytes())));
    Table facts = new Table("ll", "  recovery", log.recovery() == null ? "-" : summary(log));
    for (Report.SuperblockCopy copy : log.superblocks()) {
      facts.row("  superblock " + copy.copy(), superblock(copy));
    }
    if (log.recovery() != null) {
      facts.row(
          "  replayed",
          log.recovery().batches()
              + " batches, "
              + log.recovery().records()
              + " records; unfinished tail: "
              + log.recovery().cutBytes()
              + " bytes");
    }
    facts.row("  checkpoint", log.checkpoint() == null ? "-" : checkpoint(log.checkpoint()));
    if (log.index() != null) {
      facts.row("  index", index(log.index()));
    }
    if (log.verified() != null) {
      facts.row(
          "  verified",
          log.verified().dataBlocks()
              + " blocks of data, "
              + log.verified().checkpointBlocks()
              + " of the checkpoint");
    }
    facts.print(out);
    segments(log, out);
    records(log.records(), out);
    if (log.volumes() != null && !log.volumes().isEmpty()) {
      volumes(log, out);
    }
  }

  private static String summary(Report.Log log) {
    return log.recovery().summary().substring((log.name() + ": ").length());
  }

  private static String superblock(Report.SuperblockCopy copy) {
    Report.Superblock values = copy.values();
    if (values == null) {
      return copy.state();
    }
    return copy.state()
        + ", generation "
        + values.generation()
        + ", start "
        + values.starts()
        + (values.clean() ? ", closed in order" : "")
        + "; durable up to batch "
        + values.durableBatch()
        + "; replay from batch "
        + values.firstBatch()
        + ", segment sequence "
        + values.firstSegment()
        + " offset "
        + values.firstOffset();
  }

  private static String checkpoint(Report.Checkpoint checkpoint) {
    CheckpointContent content = checkpoint.content();
    long snapshots =
        content.volumes().stream().mapToLong(volume -> volume.snapshots().size()).sum();
    return "segment "
        + checkpoint.segment()
        + " offset "
        + checkpoint.offset()
        + ", "
        + checkpoint.bytes()
        + " bytes; page table of "
        + content.tableBlocks()
        + " blocks, pages below "
        + content.pageLimit()
        + "; volumes: "
        + content.volumes().size()
        + ", snapshots: "
        + snapshots;
  }

  private static String index(IndexWalk.Pages index) {
    return "leaf pages: "
        + index.leaves()
        + ", inner: "
        + index.inner()
        + ", shared: "
        + index.shared()
        + "; entries with data: "
        + index.dataEntries()
        + ", allocated zeroes: "
        + index.zeroEntries();
  }

  private static void segments(Report.Log log, PrintWriter out) {
    if (log.segments().isEmpty()) {
      return;
    }
    out.println();
    Table table =
        new Table(
            "rrlrrrrrrr",
            "  SLOT",
            "SEQUENCE",
            "STATE",
            "USED",
            "FREE",
            "BATCHES",
            "RECORDS",
            "LIVE DATA",
            "LIVE META",
            "LIVE");
    for (Report.Segment segment : log.segments()) {
      table.row(
          "  " + segment.slot(),
          segment.sequence() == 0 ? "-" : Long.toString(segment.sequence()),
          segment.state(),
          Sizes.format(segment.usedBytes()),
          Sizes.format(segment.freeBytes()),
          Long.toString(segment.batches()),
          Long.toString(segment.records()),
          number(segment.liveData()),
          number(segment.liveMeta()),
          segment.liveData() == null ? "-" : percent(segment, log.segmentBytes()));
    }
    table.print(out);
  }

  private static String percent(Report.Segment segment, int segmentBytes) {
    long blocks = segment.liveData() + (long) segment.liveMeta();
    return 100 * blocks * 4096 / segmentBytes + " %";
  }

  private static String number(Integer value) {
    return value == null ? "-" : Integer.toString(value);
  }

  private static void records(Map<String, Report.Count> records, PrintWriter out) {
    if (records.isEmpty()) {
      return;
    }
    out.println();
    Table table = new Table("lrr", "  RECORD", "COUNT", "BLOCKS");
    records.forEach((type, count) ->
        table.row("  " + type, Long.toString(count.records()), Long.toString(count.blocks())));
    table.print(out);
  }

  private static void volumes(Report.Log log, PrintWriter out) {
    out.println();
    Table table =
        new Table("lrrrrrr", "  VOLUME", "GROUP", "FAMILY", "SIZE", "MAPPED", "UNIQUE", "LEVELS");
    for (Report.Volume volume : log.volumes()) {
      table.row(
          "  " + volume.name(),
          Integer.toString(volume.group()),
          Integer.toString(volume.family()),
          Sizes.format(volume.sizeBytes()),
          Sizes.format(volume.mappedBytes()),
          Sizes.format(volume.uniqueBytes()),
          Integer.toString(volume.levels()));
    }
    table.print(out);
    settings(
        log.volumes().stream()
            .filter(volume -> volume.settings() != null && !volume.settings().isEmpty())
            .toList(),
        out);
  }

  private static void settings(List<Report.Volume> volumes, PrintWriter out) {
    if (volumes.isEmpty()) {
      return;
    }
    out.println();
    Table table = new Table("llll", "  SETTINGS", "TLS", "TLS-ALLOW", "DESCRIPTION");
    for (Report.Volume volume : volumes) {
      Report.Settings settings = volume.settings();
      List<String> names = settings.tlsAllow().isEmpty() ? List.of("-") : settings.tlsAllow();
      table.row(
          "  " + volume.name(),
          settings.tls() == null ? "-" : settings.tls(),
          names.getFirst(),
          settings.description());
      names.stream().skip(1).forEach(name -> table.row("", "", name, ""));
    }
    table.print(out);
  }
}
