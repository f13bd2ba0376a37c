package io.plinth.tools.it;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;

/** A mounted file system; unmounted when closed. */
final class Mount implements AutoCloseable {
  private final Path path;

  private Mount(Path path) {
    this.path = path;
  }

  /** Mounts a file system in memory. */
  static Mount tmpfs(Path path, long sizeBytes) throws IOException {
    return mount(path, "-t", "tmpfs", "-o", "size=" + sizeBytes, "tmpfs");
  }

  /** Makes an ext4 file system in a file beside the mount point and mounts it by a loop device. */
  static Mount ext4(Path path, long sizeBytes) throws IOException {
    return inFile(path, sizeBytes, "mkfs.ext4");
  }

  /** The same with ext2, whose files can't be allocated ahead. */
  static Mount ext2(Path path, long sizeBytes) throws IOException {
    return inFile(path, sizeBytes, "mkfs.ext2");
  }

  private static Mount inFile(Path path, long sizeBytes, String mkfs) throws IOException {
    Path image = path.resolveSibling(path.getFileName() + ".img");
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(sizeBytes);
    }
    Shell.ok(60, mkfs, "-q", "-F", "-m", "0", image.toString());
    return mount(path, "-o", "loop", image.toString());
  }

  /** Mounts a device. */
  static Mount device(Path path, String device, String options) throws IOException {
    return mount(path, "-o", options, device);
  }

  private static Mount mount(Path path, String... arguments) throws IOException {
    Files.createDirectories(path);
    String[] command = new String[arguments.length + 2];
    command[0] = "mount";
    System.arraycopy(arguments, 0, command, 1, arguments.length);
    command[command.length - 1] = path.toString();
    Shell.ok(60, command);
    return new Mount(path);
  }

  Path path() {
    return path;
  }

  void remount(String options) throws IOException {
    Shell.ok(60, "mount", "-o", "remount," + options, path.toString());
  }

  /** Unmounts; lazily when a process that a failed test left still uses it. */
  @Override
  public void close() throws IOException {
    if (Shell.run(60, "umount", path.toString()).exitCode() != 0) {
      Shell.ok(60, "umount", "-l", path.toString());
    }
  }
}
