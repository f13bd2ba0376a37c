package io.plinth.tools.cli;

import io.plinth.target.admin.DiffInfo;
import io.plinth.target.admin.DiffInfo.Extent;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.core.JsonGenerator;

/**
 * {@code plinth volume diff}. What the server tells is written as it comes, because there is no
 * bound to how much that is.
 */
@Command(
    name = "diff",
    description = {
      "Show which ranges of a volume have changed since a snapshot, in bytes; for each whether it",
      "holds data now, or zeroes. Ranges that were cut off by making the volume smaller are not shown."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume diff demo monday             from the snapshot until now",
      "  plinth volume diff demo monday tuesday     between two snapshots",
      "  plinth volume diff demo monday --json"
    })
final class VolumeDiffCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Parameters(index = "1", paramLabel = "A", description = "The older snapshot.")
  private String from;

  @Parameters(
      index = "2",
      arity = "0..1",
      paramLabel = "B",
      description = "The newer snapshot; left out for the volume as it is now.")
  private String to;

  /** Where extents go. */
  private interface Sink {
    void begin(DiffInfo first);

    void extent(Extent extent);

    void end();
  }

  @Override
  public Integer call() {
    run(options.isJson() ? new JsonSink(options.out()) : new TextSink(options.out()));
    return ExitCodes.OK;
  }

  private void run(Sink sink) {
    DiffInfo part = get(0);
    sink.begin(part);
    Extent held = null;
    while (true) {
      for (Extent extent : part.extents()) {
        // The server may have stopped in the middle of a range.
        if (held != null
            && held.kind() == extent.kind()
            && held.offset() + held.length() == extent.offset()) {
          held = new Extent(held.offset(), held.length() + extent.length(), held.kind());
          continue;
        }
        if (held != null) {
          sink.extent(held);
        }
        held = extent;
      }
      if (part.next() == null) {
        break;
      }
      part = get(part.next());
    }
    if (held != null) {
      sink.extent(held);
    }
    sink.end();
    options.out().flush();
  }

  private DiffInfo get(long offset) {
    String path =
        AdminClient.volume(volume, "diff")
            + "?from="
            + AdminClient.segment(from)
            + (to == null ? "" : "&to=" + AdminClient.segment(to))
            + "&offset="
            + offset;
    return Json.convert(options.client().get(path), DiffInfo.class);
  }

  private static final class TextSink implements Sink {
    private final PrintWriter out;
    private String row;
    private boolean any;

    TextSink(PrintWriter out) {
      this.out = out;
    }

    @Override
    public void begin(DiffInfo first) {
      int width = Math.max("OFFSET".length(), Long.toString(first.sizeBytes()).length());
      row = "%" + width + "s  %" + width + "s  %s";
    }

    @Override
    public void extent(Extent extent) {
      if (!any) {
        any = true;
        out.println(String.format(Locale.ROOT, row, "OFFSET", "LENGTH", "KIND"));
      }
      out.println(
          String.format(Locale.ROOT, row, extent.offset(), extent.length(), extent.kind().word()));
    }

    @Override
    public void end() {
      if (!any) {
        out.println("nothing has changed");
      }
    }
  }

  private static final class JsonSink implements Sink {
    private final PrintWriter out;
    private final JsonGenerator json;

    JsonSink(PrintWriter out) {
      this.out = out;
      this.json = Json.generator(out);
    }

    @Override
    public void begin(DiffInfo first) {
      json.writeStartObject();
      json.writeStringProperty("volume", first.volume());
      json.writeStringProperty("from", first.from());
      json.writePOJOProperty("to", first.to());
      json.writeNumberProperty("sizeBytes", first.sizeBytes());
      json.writeArrayPropertyStart("extents");
    }

    @Override
    public void extent(Extent extent) {
      json.writePOJO(extent);
    }

    @Override
    public void end() {
      json.writeEndArray();
      json.writeEndObject();
      json.flush();
      out.println();
    }
  }
}
