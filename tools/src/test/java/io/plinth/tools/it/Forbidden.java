package io.plinth.tools.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;

/**
 * A folder that the kernel lets a server neither read nor change, until closed. It belongs to
 * another user; the superuser, whom that would not hold back, gives up the capabilities that pass
 * over permissions.
 */
final class Forbidden implements AutoCloseable {
  private static final String NO_OVERRIDE = "-dac_override,-dac_read_search";

  /** nobody. */
  private static final int ANOTHER_USER = 65534;

  private final Path directory;
  private final boolean superuser;

  private Forbidden(Path directory, boolean superuser) {
    this.directory = directory;
    this.superuser = superuser;
  }

  /** Forbids an existing folder. */
  static Forbidden directory(Path directory) throws IOException {
    boolean superuser = user(Path.of("/proc/self")) == 0;
    if (superuser) {
      Files.setAttribute(directory, "unix:uid", ANOTHER_USER);
    }
    permit(directory, superuser ? "rwx------" : "---------");
    return new Forbidden(directory, superuser);
  }

  /** Returns the beginning of a command line under which the folder is forbidden. */
  List<String> command() {
    return superuser
        ? List.of("setpriv", "--bounding-set=" + NO_OVERRIDE, "--inh-caps=" + NO_OVERRIDE)
        : List.of();
  }

  private static int user(Path path) throws IOException {
    return (Integer) Files.getAttribute(path, "unix:uid");
  }

  private static void permit(Path directory, String permissions) throws IOException {
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString(permissions));
  }

  /** Makes the folder an ordinary one again. */
  @Override
  public void close() throws IOException {
    if (superuser) {
      Files.setAttribute(directory, "unix:uid", 0);
    }
    permit(directory, "rwx------");
  }
}
