package io.plinth.tools.cli;

import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.main.ClusterFile;
import io.plinth.target.main.ConfigException;
import io.plinth.target.main.ConfigLoader;
import io.plinth.target.main.ServerConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/** Writes the configuration of a node of a cluster, once it is known to be one. */
final class NodeConfigFile {
  private NodeConfigFile() {}

  /** Writes a configuration to a file that is not there yet. */
  static void write(Path file, String text) {
    try {
      Files.writeString(file, text, StandardCharsets.UTF_8, StandardOpenOption.CREATE_NEW);
    } catch (FileAlreadyExistsException e) {
      throw failed(file + " is there already: remove it, or give another --config", e);
    } catch (IOException e) {
      throw failed("can't write " + file + ": " + e.getMessage(), e);
    }
    try {
      ServerConfig config = ConfigLoader.load(file).build();
      requireFree(config.dataDir());
    } catch (ConfigException | CliException e) {
      try {
        Files.delete(file);
      } catch (IOException deletion) {
        e.addSuppressed(deletion);
      }
      throw e instanceof CliException refused ? refused : failed(e.getMessage(), e);
    }
  }

  /** A node begins with an empty directory. */
  private static void requireFree(Path directory) {
    try {
      Optional<ClusterMap> found = ClusterFile.in(directory).read();
      if (found.isPresent()) {
        throw failed(
            "data directory "
                + directory
                + " belongs to node "
                + found.get().self()
                + " of cluster "
                + found.get().name()
                + " already",
            null);
      }
    } catch (IOException e) {
      throw failed("can't use data directory " + directory + ": " + e.getMessage(), e);
    }
    if (Files.exists(directory.resolve("log-0"))) {
      throw failed(
          "data directory "
              + directory
              + " was used by a node that is in no cluster: a cluster begins with empty ones",
          null);
    }
  }

  private static CliException failed(String message, Throwable cause) {
    return new CliException(ExitCodes.FAILED, "refused", message, cause);
  }
}
