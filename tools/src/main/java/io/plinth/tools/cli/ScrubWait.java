package io.plinth.tools.cli;

import io.plinth.target.admin.ScrubInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import tools.jackson.databind.JsonNode;

/** Waits for the end of a scrub. */
final class ScrubWait {
  private ScrubWait() {}

  /**
   * Shows how far it is until it has ended, and then what was found.
   *
   * @param first how it stands now
   * @return the exit code
   */
  static int run(ClientOptions options, JsonNode first) {
    JsonNode answer = first;
    ScrubInfo info = ScrubTable.read(answer);
    List<Integer> shown = List.of();
    while (info.state() == ScrubInfo.State.RUNNING) {
      List<Integer> percents = new ArrayList<>();
      for (ScrubInfo.LogScrub log : info.logs()) {
        percents.add(log.current() == null ? 100 : log.current().percent());
      }
      if (!percents.equals(shown) && !options.isJson()) {
        for (ScrubInfo.LogScrub log : info.logs()) {
          options.out().println("log-" + log.log() + "  " + ScrubTable.state(log));
        }
        options.out().flush();
        shown = percents;
      }
      Progress.pause();
      answer = options.client().get("/v1/scrub");
      info = ScrubTable.read(answer);
    }
    ScrubInfo result = info;
    options.print(answer, out -> ScrubTable.print(result, out));
    List<ScrubInfo.Pass> passes =
        info.logs().stream().map(ScrubInfo.LogScrub::last).filter(Objects::nonNull).toList();
    if (passes.size() < info.logs().size() || !passes.stream().allMatch(ScrubInfo.Pass::complete)) {
      throw new CliException(
          ExitCodes.FAILED, "incomplete", "no scrub has looked at everything", null);
    }
    return passes.stream().anyMatch(pass -> pass.damagedBlocks() > 0)
        ? ExitCodes.FAILED
        : ExitCodes.OK;
  }
}
