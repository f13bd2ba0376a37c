package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What has come back for one request, whole when a decoder has returned it. */
final class Reply {
  /** A range and its status. */
  record Extent(long length, long flags) {}

  private record Range(long from, long to) {}

  private final Request request;
  private final byte[] data;
  private final List<Range> covered = new ArrayList<>();
  private final List<Long> errorOffsets = new ArrayList<>();
  private final Map<Integer, List<Extent>> extents = new LinkedHashMap<>();
  private int error;
  private int chunks;
  private int contentChunks;
  private boolean simple;

  Reply(Request request) {
    this.request = request;
    // What can't be read in one piece anyway needs no room.
    boolean read = request.command() == Nbd.READ && request.length() >= 0;
    data = new byte[read && request.length() <= 1 << 26 ? (int) request.length() : 0];
  }

  Request request() {
    return request;
  }

  /** Returns the first error, or zero. */
  int error() {
    return error;
  }

  /** Returns what a READ has read; holes are zeroes. */
  byte[] data() {
    return data.clone();
  }

  int chunks() {
    return chunks;
  }

  int contentChunks() {
    return contentChunks;
  }

  /** Returns whether it was a simple reply. */
  boolean isSimple() {
    return simple;
  }

  /** Returns the extents of one metadata context. */
  List<Extent> extents(int context) {
    return extents.getOrDefault(context, List.of());
  }

  @Override
  public String toString() {
    return Nbd.errorName(error);
  }

  // What the decoder puts in.

  void setSimple() {
    simple = true;
  }

  void addChunk() {
    chunks++;
  }

  /** Takes the place that an error chunk names, within the request. */
  void addErrorOffset(long from) {
    errorOffsets.add(from);
  }

  void setError(int value) {
    error = error == 0 ? value : error;
  }

  /** Takes content, which must lie in the request and on nothing that came before. */
  void addContent(long offset, long length, byte[] bytes) {
    contentChunks++;
    if (contentChunks > 1 && (request.flags() & Nbd.DF) != 0) {
      throw Broken.rule("R7", request + ": a second content chunk");
    }
    long from = offset - request.offset();
    if (from < 0 || length > request.length() - from) {
      throw Broken.rule(
          "R4",
          request + ": a chunk of " + length + " at " + Long.toUnsignedString(offset) + " outside");
    }
    for (Range range : covered) {
      if (from < range.to && range.from < from + length) {
        throw Broken.rule(
            "R4", request + ": a chunk of " + length + " at " + offset + " overlaps another one");
      }
    }
    for (long failed : errorOffsets) {
      if (failed >= from && failed < from + length) {
        throw Broken.rule(
            "R4", request + ": a chunk of " + length + " at " + offset + " after its error chunk");
      }
    }
    covered.add(new Range(from, from + length));
    if (data.length > 0) {
      System.arraycopy(bytes, 0, data, (int) from, bytes.length);
    }
  }

  void addExtents(int context, List<Extent> list) {
    if (!request.contexts().contains(context)) {
      throw Broken.rule("B2", request + ": a chunk for context " + context + ", not selected");
    }
    if (extents.put(context, list) != null) {
      throw Broken.rule("B2", request + ": a second chunk for context " + context);
    }
    judgeExtents(list);
  }

  private void judgeExtents(List<Extent> list) {
    if (list.isEmpty()) {
      throw Broken.rule("B2", request + ": no extents");
    }
    long before = 0;
    for (int i = 0; i < list.size(); i++) {
      if (list.get(i).length() == 0) {
        throw Broken.rule("B2", request + ": extent " + i + " has length 0");
      }
      before += i < list.size() - 1 ? list.get(i).length() : 0;
    }
    if (list.size() > 1 && Long.compareUnsigned(before, request.length()) >= 0) {
      throw Broken.rule("B2", request + ": extents go on after the end of the request");
    }
    if ((request.flags() & Nbd.REQ_ONE) != 0) {
      if (list.size() != 1) {
        throw Broken.rule("B2", request + ": REQ_ONE and " + list.size() + " extents");
      }
      if (Long.compareUnsigned(list.getFirst().length(), request.length()) > 0) {
        throw Broken.rule("B2", request + ": REQ_ONE and an extent of " + list.getFirst().length());
      }
    }
  }

  /** Judges the whole after its last part. */
  void end() {
    if (error != 0) {
      return;
    }
    if (request.command() == Nbd.READ) {
      long sum = covered.stream().mapToLong(range -> range.to - range.from).sum();
      if (sum != request.length()) {
        throw Broken.rule("R4", request + ": success with " + sum + " bytes only");
      }
    }
    if (request.command() == Nbd.BLOCK_STATUS && request.length() > 0) {
      for (int context : request.contexts()) {
        if (!extents.containsKey(context)) {
          throw Broken.rule("B2", request + ": success without a chunk for context " + context);
        }
      }
    }
  }
}
