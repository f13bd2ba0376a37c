package io.plinth.target.main;

import io.plinth.target.admin.ScrubInfo;
import io.plinth.target.node.NodeScrub.LogScrub;
import io.plinth.target.volume.DamageReport;
import io.plinth.target.volume.Scrubber;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Says in the words of the admin API how it stands with the scrubs of a node. */
final class ScrubInfos {
  private ScrubInfos() {}

  static ScrubInfo of(List<LogScrub> scrubs) {
    List<ScrubInfo.LogScrub> logs = new ArrayList<>();
    List<ScrubInfo.Damage> damaged = new ArrayList<>();
    List<ScrubInfo.Mended> mended = new ArrayList<>();
    long mendedBlocks = 0;
    ScrubInfo.State state = ScrubInfo.State.OFF;
    for (LogScrub scrub : scrubs) {
      int number = logs.size();
      ScrubInfo.LogScrub log = log(number, scrub.progress());
      logs.add(log);
      // The words are in the order of what matters more.
      state = log.state().compareTo(state) < 0 ? log.state() : state;
      scrub.damage().forEach(damage -> damaged.add(damage(number, damage)));
      scrub
          .mended()
          .forEach(one ->
              mended.add(
                  new ScrubInfo.Mended(
                      number, one.segment(), one.offset(), one.volume(), one.block(), one.node())));
      mendedBlocks += scrub.mendedBlocks();
    }
    return new ScrubInfo(state, logs, damaged, mendedBlocks, mended);
  }

  private static ScrubInfo.LogScrub log(int number, Scrubber.Progress progress) {
    Scrubber.Settings settings = progress.settings();
    ScrubInfo.State state =
        settings.bytesPerSecond() == 0 ? ScrubInfo.State.OFF : ScrubInfo.State.IDLE;
    return new ScrubInfo.LogScrub(
        number,
        progress.running() ? ScrubInfo.State.RUNNING : state,
        settings.bytesPerSecond(),
        TimeUnit.NANOSECONDS.toSeconds(settings.intervalNs()),
        progress.pastPageCache(),
        pass(progress.current()),
        pass(progress.last()),
        progress.nextMs() < 0 ? null : progress.nextMs());
  }

  private static ScrubInfo.Pass pass(Scrubber.Pass pass) {
    if (pass == null) {
      return null;
    }
    int percent = pass.bytesTotal() == 0 ? 100 : (int) (100 * pass.bytesDone() / pass.bytesTotal());
    boolean isKnown = pass.endedMs() == 0 && pass.remainingMs() >= 0;
    return new ScrubInfo.Pass(
        pass.startedMs(),
        pass.endedMs() == 0 ? null : pass.endedMs(),
        pass.segmentsDone(),
        pass.segmentsTotal(),
        pass.bytesDone(),
        pass.bytesTotal(),
        percent,
        pass.bytesRead(),
        isKnown ? pass.remainingMs() : null,
        pass.damagedBlocks(),
        pass.complete());
  }

  private static ScrubInfo.Damage damage(int log, DamageReport.Damage damage) {
    return new ScrubInfo.Damage(
        log,
        damage.segment(),
        damage.offset(),
        damage.blocks(),
        damage.what(),
        damage.owners().stream()
            .map(owner -> new ScrubInfo.Owner(owner.volume(), owner.snapshot(), owner.block()))
            .toList(),
        damage.role());
  }
}
