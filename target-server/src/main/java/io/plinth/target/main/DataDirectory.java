package io.plinth.target.main;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.Posix;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * The folder of a node's data: held by one process at a time, with a folder {@code log-N} for each
 * log.
 */
public final class DataDirectory implements AutoCloseable {
  private static final String LOCK_FILE = "plinth.lock";
  private static final String LOG_PREFIX = "log-";

  /** A log's table of segments is scanned for a free slot when one is made. */
  private static final int MAX_SEGMENTS = 1 << 16;

  private final Path path;
  private final FileChannel lockChannel;

  private DataDirectory(Path path, FileChannel lockChannel) {
    this.path = path;
    this.lockChannel = lockChannel;
  }

  /**
   * Creates the folder when it is absent and takes hold of it.
   *
   * @throws StartupException when it can't be used, with one line that says why
   */
  static DataDirectory open(Path path) throws StartupException {
    try {
      Files.createDirectories(path);
    } catch (IOException e) {
      throw new StartupException("can't create data directory " + path + ": " + reason(e), e);
    }
    Path lockFile = path.resolve(LOCK_FILE);
    FileChannel channel = null;
    try {
      channel =
          FileChannel.open(
              lockFile,
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
      FileLock lock = channel.tryLock();
      if (lock == null) {
        throw inUse(path, channel);
      }
      channel.truncate(0);
      channel.write(StandardCharsets.US_ASCII.encode(ProcessHandle.current().pid() + "\n"));
      return new DataDirectory(path, channel);
    } catch (OverlappingFileLockException e) {
      throw inUse(path, channel);
    } catch (IOException e) {
      closeQuietly(channel);
      throw new StartupException("can't use data directory " + path + ": " + reason(e), e);
    }
  }

  /**
   * Takes hold of a folder that exists, for looking at it: no server can use it meanwhile, others
   * can look at it too, and nothing is written.
   *
   * @throws StartupException when it can't be used, with one line that says why
   */
  public static DataDirectory openForReading(Path path) throws StartupException {
    Path lockFile = path.resolve(LOCK_FILE);
    if (!Files.isRegularFile(lockFile)) {
      throw new StartupException(path + " is no data directory: it has no " + LOCK_FILE);
    }
    FileChannel channel = null;
    try {
      channel = FileChannel.open(lockFile, StandardOpenOption.READ);
      if (channel.tryLock(0, Long.MAX_VALUE, true) == null) {
        throw inUse(path, channel);
      }
      return new DataDirectory(path, channel);
    } catch (OverlappingFileLockException e) {
      throw inUse(path, channel);
    } catch (IOException e) {
      closeQuietly(channel);
      throw new StartupException("can't use data directory " + path + ": " + reason(e), e);
    }
  }

  /** Returns the folders of the logs that there are, log 0 first. */
  public List<Path> logs() {
    List<Path> logs = new ArrayList<>();
    for (Path log = log(0); Files.isDirectory(log); log = log(logs.size())) {
      logs.add(log);
    }
    return logs;
  }

  private Path log(int number) {
    return path.resolve(LOG_PREFIX + number);
  }

  /**
   * Returns the folders of the logs, making further ones up to {@code wanted}.
   *
   * @throws StartupException when one can't be made
   */
  List<Path> logs(int wanted) throws StartupException {
    List<Path> logs = logs();
    try {
      while (logs.size() < wanted) {
        Path log = log(logs.size());
        Files.createDirectories(log);
        logs.add(log);
      }
      int synced = Posix.syncDirectory(path.toString());
      if (synced < 0) {
        throw new IOException(Status.name(synced));
      }
      return logs;
    } catch (IOException e) {
      throw new StartupException("can't use data directory " + path + ": " + reason(e), e);
    }
  }

  /** Returns where the folder is. */
  public Path path() {
    return path;
  }

  /** Returns how many segments fit the file system that the folder is on. */
  int segmentsOfFileSystem(int segmentBytes) throws StartupException {
    try {
      long segments = Files.getFileStore(path).getTotalSpace() / segmentBytes;
      return Math.clamp(segments, ServerConfig.MINIMUM_SEGMENTS, MAX_SEGMENTS);
    } catch (IOException e) {
      throw new StartupException("can't ask the file system of " + path + ": " + reason(e), e);
    }
  }

  /** Lets the folder go. */
  @Override
  public void close() {
    closeQuietly(lockChannel);
  }

  static String reason(IOException e) {
    String message = String.valueOf(e.getMessage());
    if (e instanceof AccessDeniedException) {
      return "no permission";
    }
    return message.contains("No space left") ? "the file system is full" : message;
  }

  private static StartupException inUse(Path path, FileChannel channel) {
    closeQuietly(channel);
    String holder = "";
    try {
      holder = " (process " + Files.readString(path.resolve(LOCK_FILE)).trim() + ")";
    } catch (IOException e) {
      holder = "";
    }
    return new StartupException("data directory " + path + " is in use by another server" + holder);
  }

  private static void closeQuietly(FileChannel channel) {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        // The process holds nothing else by this channel: the lock goes with it in any case.
        return;
      }
    }
  }
}
