package io.plinth.tools.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A volume as a block device of the kernel, through nbdfuse; gone when closed, whatever failed
 * before.
 */
final class LoopDevice implements AutoCloseable {
  private final Path folder;
  private final Process nbdfuse;
  private String device;

  /** Attaches a volume for so many seconds at most. */
  LoopDevice(int seconds, Path folder, String uri) throws IOException {
    this.folder = Files.createDirectories(folder);
    nbdfuse = Shell.start(seconds, List.of("nbdfuse", folder.resolve("disk").toString(), uri));
    boolean done = false;
    try {
      Shell.ok(20, "sh", "-c", "until test -f \"$1\"; do :; done", "await", disk());
      device = Shell.ok(20, "losetup", "-f", "--show", "--direct-io=off", disk());
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  private String disk() {
    return folder.resolve("disk").toString();
  }

  String path() {
    return device;
  }

  @Override
  public void close() throws IOException {
    try {
      if (device != null) {
        Shell.ok(30, "losetup", "-d", device);
      }
    } finally {
      // The kernel lets the file go a moment after the loop device.
      Shell.run(
          20, "sh", "-c", "until fusermount3 -u \"$1\"; do :; done", "release", folder.toString());
      Shell.run(20, "umount", "-l", folder.toString());
      nbdfuse.destroy();
      nbdfuse.onExit().orTimeout(20, TimeUnit.SECONDS).join();
    }
  }
}
