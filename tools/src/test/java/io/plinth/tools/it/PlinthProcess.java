package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server in a process of its own, started by the launcher as a person would. */
final class PlinthProcess {
  /** An option of the Java machine: it tells for what it has taken memory. */
  static final String TRACK_MEMORY = "-XX:NativeMemoryTracking=summary";

  /** What compilers may take between two looks. */
  private static final long COMPILER_NOISE_BYTES = 256 << 10;

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Pattern TCP = Pattern.compile("NBD on ([0-9.]+):([0-9]+)");
  private static final Pattern ADMIN = Pattern.compile("admin on ([0-9.]+:[0-9]+)");
  private static final long READY_TIMEOUT_S = 60;

  private final Process process;
  private final Path log;
  private final long startedNs = System.nanoTime();
  private final List<String> output = new ArrayList<>();
  private final CompletableFuture<String> ready = new CompletableFuture<>();
  private volatile long readyNs;

  private PlinthProcess(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /** Returns the top of the source tree. */
  static Path root() {
    return Path.of(System.getProperty("plinth.root"));
  }

  /** Starts {@code plinth serve} on free ports. */
  static PlinthProcess serve(Path log, String javaOptions, List<String> arguments)
      throws IOException {
    List<String> command = new ArrayList<>(List.of("serve"));
    for (String listener : List.of("--nbd", "--admin")) {
      if (!arguments.contains(listener)) {
        command.addAll(List.of(listener, "127.0.0.1:0"));
      }
    }
    command.addAll(arguments);
    return start(log, javaOptions, List.of(), command);
  }

  /**
   * Starts {@code plinth} with its error output in a file.
   *
   * @param through the beginning of a command line that runs the rest of it; empty for none
   */
  static PlinthProcess start(
      Path log, String javaOptions, List<String> through, List<String> arguments)
      throws IOException {
    List<String> command = new ArrayList<>(through);
    command.add(root().resolve("scripts/plinth").toString());
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("PLINTH_NO_BUILD", "1");
    builder.environment().put("PLINTH_JAVA_OPTS", javaOptions);
    builder.redirectInput(new File("/dev/null"));
    builder.redirectError(log.toFile());
    PlinthProcess started = new PlinthProcess(builder.start(), log);
    Thread reader = new Thread(started::readOutput, "plinth-output");
    reader.setDaemon(true);
    reader.start();
    return started;
  }

  private void readOutput() {
    try (BufferedReader lines = process.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        synchronized (output) {
          output.add(line);
        }
        readyNs = System.nanoTime();
        ready.complete(line);
      }
    } catch (IOException e) {
      ready.completeExceptionally(e);
    }
    ready.completeExceptionally(new IllegalStateException("the server ended before it was ready"));
  }

  /** Waits for the ready line and returns it. */
  String readyLine() throws InterruptedException {
    try {
      return ready.get(READY_TIMEOUT_S, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new AssertionError("no ready line: " + e.getMessage() + "\n" + log(), e);
    }
  }

  /** Returns how long it took from the start of the process to the ready line. */
  long startMs() throws InterruptedException {
    readyLine();
    return TimeUnit.NANOSECONDS.toMillis(readyNs - startedNs);
  }

  InetSocketAddress nbd() throws InterruptedException {
    Matcher matcher = TCP.matcher(readyLine());
    assertThat(matcher.find()).as("an address in: %s", readyLine()).isTrue();
    return new InetSocketAddress(matcher.group(1), Integer.parseInt(matcher.group(2)));
  }

  /** Returns the URI of a volume over TCP. */
  String uri(String volume) throws InterruptedException {
    InetSocketAddress address = nbd();
    return "nbd://" + address.getHostString() + ":" + address.getPort() + "/" + volume;
  }

  /** Runs a command that speaks to this server; it must succeed. */
  String cli(String... arguments) throws IOException, InterruptedException {
    Shell.Result result = tryCli(arguments);
    assertThat(result.exitCode())
        .as("exit code of plinth %s: %s", String.join(" ", arguments), result.output())
        .isZero();
    return result.output();
  }

  Shell.Result tryCli(String... arguments) throws IOException, InterruptedException {
    Matcher matcher = ADMIN.matcher(readyLine());
    assertThat(matcher.find()).as("an admin address in: %s", readyLine()).isTrue();
    List<String> command =
        new ArrayList<>(
            List.of("env", "PLINTH_NO_BUILD=1", root().resolve("scripts/plinth").toString()));
    command.addAll(List.of(arguments));
    command.addAll(List.of("--admin", matcher.group(1)));
    return Shell.run(60, command);
  }

  /** Sends a request to the admin API, which must accept it. */
  void api(String method, String path, String body) throws IOException, InterruptedException {
    Matcher matcher = ADMIN.matcher(readyLine());
    assertThat(matcher.find()).as("an admin address in: %s", readyLine()).isTrue();
    HttpURLConnection connection =
        (HttpURLConnection)
            URI.create("http://" + matcher.group(1) + path).toURL().openConnection();
    connection.setRequestMethod(method);
    connection.setReadTimeout((int) TimeUnit.SECONDS.toMillis(READY_TIMEOUT_S));
    if (!body.isEmpty()) {
      connection.setDoOutput(true);
      connection.setRequestProperty("Content-Type", "application/json");
      connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
    }
    assertThat(connection.getResponseCode()).as("%s %s", method, path).isBetween(200, 299);
    connection.disconnect();
  }

  /** Returns {@code plinth volume show --json}. */
  JsonNode volume(String name) throws IOException, InterruptedException {
    return JSON.readTree(cli("volume", "show", name, "--json"));
  }

  /** Returns {@code plinth status --json}. */
  JsonNode status() throws IOException, InterruptedException {
    return JSON.readTree(cli("status", "--json"));
  }

  boolean isAlive() {
    return process.isAlive();
  }

  long pid() {
    return process.pid();
  }

  /** SIGKILL; returns when the process is gone. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).as("killed").isTrue();
  }

  /** SIGTERM; returns the exit code. */
  int terminate() throws InterruptedException {
    process.destroy();
    return awaitExit();
  }

  /** Waits for the end of the process; returns the exit code. */
  int awaitExit() throws InterruptedException {
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("ended\n%s", log()).isTrue();
    return process.exitValue();
  }

  /** Returns the resident memory that is not backed by files (the log's mappings are). */
  long anonymousBytes() throws IOException {
    return statusKiB("RssAnon:") * 1024;
  }

  /**
   * Returns the resident memory that is not backed by files, without that of the compilers and what
   * they have made, which comes and goes by tens of MiB with what happens to be compiled. The
   * server must have been started with {@link #TRACK_MEMORY}.
   */
  long anonymousBytesWithoutCompilers() throws IOException {
    for (int i = 0; i < 50; i++) {
      long before = compilerBytes();
      // What was freed, mostly by compilers, is kept by the allocator until it is told.
      String _ = jcmd("System.trim_native_heap");
      long anonymous = anonymousBytes();
      if (Math.abs(compilerBytes() - before) < COMPILER_NOISE_BYTES) {
        return anonymous - before;
      }
    }
    throw new AssertionError("the compilers of process " + pid() + " do not come to rest");
  }

  private long compilerBytes() throws IOException {
    String summary = jcmd("VM.native_memory", "summary", "scale=1");
    long total = 0;
    for (String category : List.of("Code", "Compiler", "Arena Chunk")) {
      Matcher matcher =
          Pattern.compile("- +" + category + " \\(reserved=[0-9]+, committed=([0-9]+)")
              .matcher(summary);
      assertThat(matcher.find()).as("%s in %s", category, summary).isTrue();
      total += Long.parseLong(matcher.group(1));
    }
    return total;
  }

  private String jcmd(String... command) throws IOException {
    List<String> all = new ArrayList<>();
    all.add(Path.of(System.getProperty("java.home"), "bin", "jcmd").toString());
    all.add(Long.toString(pid()));
    all.addAll(List.of(command));
    return Shell.ok(60, all.toArray(String[]::new));
  }

  /** Collects the server's garbage and returns the bytes of the objects that are left. */
  long liveHeapBytes() throws IOException {
    String total =
        jcmd("GC.class_histogram")
            .lines()
            .filter(line -> line.startsWith("Total"))
            .findFirst()
            .orElseThrow();
    return Long.parseLong(total.strip().replaceAll(".* ", ""));
  }

  private long statusKiB(String name) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/" + pid() + "/status"))) {
      if (line.startsWith(name)) {
        return Long.parseLong(line.substring(name.length()).replace("kB", "").strip());
      }
    }
    throw new IOException("no " + name + " in the status of process " + pid());
  }

  /** Returns all lines of standard output so far. */
  List<String> output() {
    synchronized (output) {
      return List.copyOf(output);
    }
  }

  /** Returns what the server wrote to its error output so far. */
  String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
