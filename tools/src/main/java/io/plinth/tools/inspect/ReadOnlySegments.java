package io.plinth.tools.inspect;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.memory.Posix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * A log's folder, opened for reading. What recovery would cut off or remove stays; it does not look
 * there again.
 */
final class ReadOnlySegments implements LogStorage, AutoCloseable {
  private static final String PREFIX = "segment-";
  private static final int SUPERBLOCK_BYTES = 8192;

  /** What a log has at least. */
  private static final int FEWEST_SEGMENTS = 4;

  private final Path folder;
  private final int segmentBytes;
  private final int[] slots;
  private final Map<Integer, Integer> descriptors = new TreeMap<>();

  /**
   * Opens a folder.
   *
   * @param segmentBytes what the superblock says
   */
  ReadOnlySegments(Path folder, int segmentBytes) {
    this.folder = folder;
    this.segmentBytes = segmentBytes;
    this.slots = list();
  }

  private int[] list() {
    IntStream.Builder found = IntStream.builder();
    try (DirectoryStream<Path> entries =
        Files.newDirectoryStream(folder, PREFIX + "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]")) {
      for (Path entry : entries) {
        found.add(Integer.parseInt(entry.getFileName().toString().substring(PREFIX.length())));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("can't list " + folder, e);
    }
    return found.build().sorted().toArray();
  }

  @Override
  public int segmentBytes() {
    return segmentBytes;
  }

  @Override
  public int maxSegments() {
    return Math.max(FEWEST_SEGMENTS, slots.length == 0 ? 0 : slots[slots.length - 1] + 1);
  }

  @Override
  public int[] existingSlots() {
    return slots.clone();
  }

  @Override
  public boolean hasSlot(int slot) {
    return IntStream.of(slots).anyMatch(each -> each == slot);
  }

  @Override
  public int readNow(int slot, long address, int length, long position) {
    int descriptor = descriptors.computeIfAbsent(slot, this::open);
    return descriptor < 0 ? descriptor : read(descriptor, address, length, position);
  }

  private int open(int slot) {
    String file = String.format(Locale.ROOT, "%s%08d", PREFIX, slot);
    return Posix.open(folder.resolve(file).toString(), Posix.O_RDONLY, 0);
  }

  private static int read(int descriptor, long address, int length, long position) {
    int done = 0;
    while (done < length) {
      int count = Posix.read(descriptor, address + done, length - done, position + done);
      if (count < 0 && count != Status.EINTR) {
        return count;
      }
      if (count == 0) {
        break;
      }
      done += Math.max(0, count);
    }
    return done;
  }

  @Override
  public int readSuperblock(long address) {
    int descriptor = Posix.open(folder.resolve("superblock").toString(), Posix.O_RDONLY, 0);
    if (descriptor == Status.ENOENT) {
      // As a start would find it, which makes the file.
      NativeMemory.zero(address, SUPERBLOCK_BYTES);
      return SUPERBLOCK_BYTES;
    }
    if (descriptor < 0) {
      return descriptor;
    }
    int count = read(descriptor, address, SUPERBLOCK_BYTES, 0);
    int _ = Posix.close(descriptor);
    return count;
  }

  @Override
  public int eraseNow(int slot, int from, int to) {
    return Status.OK;
  }

  @Override
  public int rewriteNow(int slot, int from, int to) {
    return Status.OK;
  }

  @Override
  public void removeExisting(int slot) {
    // It stays.
  }

  @Override
  public void close() {
    for (int descriptor : descriptors.values()) {
      if (descriptor >= 0) {
        int _ = Posix.close(descriptor);
      }
    }
    descriptors.clear();
  }

  // What a log that is open needs.

  private static UnsupportedOperationException readOnly() {
    return new UnsupportedOperationException("a log that is only looked at");
  }

  @Override
  public LogFile openExisting(int slot) {
    throw readOnly();
  }

  @Override
  public LogFile openForAppend(int slot, int position) {
    throw readOnly();
  }

  @Override
  public void prepare(int slot) {
    throw readOnly();
  }

  @Override
  public LogFile takePrepared() {
    throw readOnly();
  }

  @Override
  public int prepareStatus() {
    throw readOnly();
  }

  @Override
  public int populateStatus() {
    throw readOnly();
  }

  @Override
  public boolean canPin() {
    return false;
  }

  @Override
  public void makeResident(LogFile file, int validBytes) {
    throw readOnly();
  }

  @Override
  public void evict(LogFile file) {
    throw readOnly();
  }

  @Override
  public void free(LogFile file, boolean keep) {
    throw readOnly();
  }

  @Override
  public boolean writeSuperblock(int copy, long address, Completion completion, long context) {
    throw readOnly();
  }
}
