package io.plinth.tools.cli;

import io.plinth.target.admin.RestoreSpec;
import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.Moment;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume restore-at}. */
@Command(
    name = "restore-at",
    description = {
      "Create a volume with the content that another one had at a moment of the past. How far back",
      "the log goes is shown by \"plinth volume show\"; log.retention keeps it longer."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume restore-at demo 10m before-the-accident",
      "  plinth volume restore-at demo 2026-11-25T14:30:00Z old",
      "  plinth volume restore-at demo 48153 old"
    })
final class VolumeRestoreCommand implements Callable<Integer> {
  private static final Pattern AGO = Pattern.compile("([0-9]{1,9})([smhd])");
  private static final Pattern POSITION = Pattern.compile("[0-9]{1,18}");

  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume that was it.")
  private String source;

  @Parameters(
      index = "1",
      paramLabel = "TIME|LOG-POSITION",
      description =
          "A time with its zone, how long ago (90s, 10m, 2h, 1d), or a position of the log. Times are"
              + " exact to the millisecond: what was written in that one is included.")
  private String moment;

  @Parameters(
      index = "2",
      paramLabel = "NEW",
      description = "The new volume's name: 1 to 63 letters, digits, '.', '_', '-'.")
  private String name;

  @Option(
      names = "--flush-policy",
      paramLabel = "POLICY",
      description = "flush or always (default: that of the source).")
  private String flushPolicy;

  @Override
  public Integer call() {
    RestoreSpec spec;
    try {
      spec =
          new RestoreSpec(
              name,
              source,
              parse(moment),
              Optional.ofNullable(flushPolicy).map(FlushPolicy::parse));
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    ObjectNode body = Json.object();
    body.put("name", spec.name());
    if (spec.moment().batch() == Long.MAX_VALUE) {
      body.put("time", Instant.ofEpochMilli(spec.moment().epochMs()).toString());
    } else {
      body.put("position", spec.moment().batch());
    }
    spec.flushPolicy().ifPresent(policy -> body.put("flushPolicy", policy.word()));
    JsonNode answer = options.client().post(AdminClient.volume(spec.source(), "restore"), body);
    VolumeInfo created = Json.convert(answer, VolumeInfo.class);
    options.print(
        answer,
        out ->
            out.println(
                "created "
                    + created.name()
                    + ", "
                    + Sizes.format(created.sizeBytes())
                    + ", as "
                    + source
                    + " was at "
                    + (body.has("time") ? body.get("time").stringValue() : "position " + moment)));
    return ExitCodes.OK;
  }

  private static Moment parse(String text) {
    Matcher ago = AGO.matcher(text);
    if (ago.matches()) {
      long seconds =
          switch (ago.group(2).charAt(0)) {
            case 's' -> 1;
            case 'm' -> 60;
            case 'h' -> 3600;
            default -> 86_400;
          };
      return Moment.ofTime(
          System.currentTimeMillis() - Long.parseLong(ago.group(1)) * seconds * 1000);
    }
    return POSITION.matcher(text).matches()
        ? RestoreSpec.position(Long.parseLong(text))
        : RestoreSpec.time(text);
  }
}
