package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A PostgreSQL server of Debian's package, run by an unprivileged user. */
final class Database {
  private static final String USER = "nobody";

  private final Path data;
  private final Path folder;
  private final Path programs;
  private final List<ProcessHandle> killed = new ArrayList<>();

  /**
   * Creates it; nothing happens yet.
   *
   * @param data where its files are to be
   * @param folder for its socket
   */
  Database(Path data, Path folder) throws IOException {
    this.data = data;
    this.folder = Files.createDirectories(folder.resolve("socket"));
    Shell.ok(10, "chown", USER, this.folder.toString());
    try (DirectoryStream<Path> versions =
        Files.newDirectoryStream(Path.of("/usr/lib/postgresql"), "[0-9]*")) {
      programs = versions.iterator().next().resolve("bin");
    }
  }

  /** Returns the command line that runs one of its programs. */
  String[] command(String program, String... arguments) {
    List<String> line =
        new ArrayList<>(
            List.of("setpriv", "--reuid=" + USER, "--regid=nogroup", "--clear-groups", "env"));
    line.addAll(List.of("HOME=/", "PGHOST=" + folder, "PGUSER=postgres"));
    line.add(programs.resolve(program).toString());
    line.addAll(List.of(arguments));
    return line.toArray(String[]::new);
  }

  void initialize() throws IOException {
    Files.createDirectory(data);
    Shell.ok(10, "chown", USER, data.toString());
    Shell.ok(
        120,
        command(
            "initdb", "-D", data.toString(), "-A", "trust", "-U", "postgres", "--data-checksums"));
  }

  /** Starts it; returns when it takes commands, which includes the recovery from a crash. */
  void start() throws IOException {
    String options =
        "-c listen_addresses='' -c unix_socket_directories="
            + folder
            + " -c shared_buffers=32MB -c max_wal_size=128MB -c checkpoint_timeout=30s";
    Path log = data.resolve("server.log");
    String[] start = command("pg_ctl", "start", "-w", "-t", "100", "-D", data.toString());
    List<String> line = new ArrayList<>(List.of(start));
    line.addAll(List.of("-l", log.toString(), "-o", options));
    Shell.Result started = Shell.run(120, line);
    assertThat(started.exitCode())
        .as("%s\n%s", started.output(), started.exitCode() == 0 ? "" : Files.readString(log))
        .isZero();
  }

  void stop() throws IOException {
    Shell.ok(60, command("pg_ctl", "stop", "-w", "-m", "fast", "-D", data.toString()));
  }

  /** SIGKILL to all of its processes, which may wait for their disk before they end. */
  void kill() throws IOException {
    String pid = Files.readAllLines(data.resolve("postmaster.pid")).get(0);
    ProcessHandle server = ProcessHandle.of(Long.parseLong(pid)).orElseThrow();
    killed.addAll(server.descendants().toList());
    killed.add(server);
    // The parent first: it would start others.
    killed.reversed().forEach(ProcessHandle::destroyForcibly);
  }

  /** Waits for the end of what was killed: a new server does not start beside them. */
  void awaitEnd() {
    killed.forEach(process -> process.onExit().orTimeout(60, TimeUnit.SECONDS).join());
  }

  /** Returns the only row of a query, its columns separated by bars. */
  String query(String sql) throws IOException {
    return Shell.ok(60, command("psql", "-X", "-q", "-A", "-t", "-c", sql, "postgres"));
  }

  /** Starts transactions until the server ends. */
  Process pgbench(Path log) throws IOException {
    return new ProcessBuilder(command("pgbench", "-n", "-c", "4", "-T", "500", "postgres"))
        .redirectErrorStream(true)
        .redirectOutput(log.toFile())
        .start();
  }
}
