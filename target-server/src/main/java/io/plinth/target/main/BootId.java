package io.plinth.target.main;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/** The identity of the running machine's boot ({@code random(4)}). */
public final class BootId {
  private static final Path FILE = Path.of("/proc/sys/kernel/random/boot_id");

  private BootId() {}

  /**
   * Reads it.
   *
   * @throws StartupException when the kernel does not tell, with one line that says so
   */
  public static UUID read() throws StartupException {
    try {
      return UUID.fromString(Files.readString(FILE).trim());
    } catch (IOException | IllegalArgumentException e) {
      throw new StartupException("can't read " + FILE + ": " + e.getMessage(), e);
    }
  }
}
