package io.plinth.target.main;

import io.plinth.target.admin.VerifyInfo;
import io.plinth.target.volume.VerifyReport;
import java.util.concurrent.TimeUnit;

/** What the admin API says of comparisons of replicas. */
final class VerifyInfos {
  private VerifyInfos() {}

  static VerifyInfo of(String volume, VerifyReport report) {
    return new VerifyInfo(
        volume,
        VerifyInfo.State.valueOf(report.state().name()),
        report.entry() == 0 ? null : report.entry(),
        textOrNull(report.problem()),
        report.doneBytes(),
        report.sizeBytes(),
        report.ranges(),
        report.readBytes(),
        TimeUnit.NANOSECONDS.toMillis(report.elapsedNs()),
        report.members().stream()
            .map(one ->
                new VerifyInfo.Replica(one.node(), one.verified(), textOrNull(one.problem())))
            .toList(),
        report.differentRanges(),
        report.differences().stream()
            .map(one ->
                new VerifyInfo.Difference(
                    textOrNull(one.snapshot()), one.offset(), one.length(), one.nodes()))
            .toList(),
        report.damagedBlocks(),
        report.damages().stream()
            .map(one ->
                new VerifyInfo.Damage(
                    one.node(), textOrNull(one.snapshot()), one.offset(), one.blocks()))
            .toList());
  }

  private static String textOrNull(String text) {
    return text.isEmpty() ? null : text;
  }
}
