package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.main.ListenAddress;
import io.plinth.target.main.ServerConfig;
import io.plinth.target.main.StartupException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServeCommandTest {
  private final List<ServerConfig> started = new ArrayList<>();

  @TempDir Path directory;

  /** Ends at once, as a server does that failed. */
  private static class EndedServer implements RunningServer {
    @Override
    public String readyLine() {
      return "ready: nbd 127.0.0.1:10809";
    }

    @Override
    public void awaitTermination() {}

    @Override
    public void stop() {}
  }

  @Test
  void optionsReachTheConfiguration() throws Exception {
    serve(
        "--data",
        "/srv/x",
        "--volume",
        "a=1G",
        "--volume",
        "b=4K",
        "--nbd",
        "0.0.0.0:1",
        "--nbd",
        "[::1]:2",
        "--nbd-unix",
        "/run/p.sock",
        "--admin",
        "127.0.0.1:0",
        "--cores",
        "3");
    assertThat(started)
        .containsExactly(
            ServerConfig.builder()
                .dataDir(Path.of("/srv/x"))
                .addVolume(new VolumeSpec("a", 1L << 30, FlushPolicy.FLUSH, VolumeSettings.DEFAULT))
                .addVolume(new VolumeSpec("b", 4096, FlushPolicy.FLUSH, VolumeSettings.DEFAULT))
                .nbdListen(List.of(new ListenAddress("0.0.0.0", 1), new ListenAddress("::1", 2)))
                .nbdUnix(List.of(Path.of("/run/p.sock")))
                .adminListen(new ListenAddress("127.0.0.1", 0))
                .cores(3)
                .build());
  }

  @Test
  void withoutOptionsTheDefaultsAreServed() throws Exception {
    serve();
    assertThat(started).containsExactly(ServerConfig.builder().build());
  }

  @Test
  void optionsWinOverTheFile() throws Exception {
    Path file =
        write(
            "cores = 2\n[engine]\nflush-policy = 'always'\n[[volume]]\nname = 'a'\nsize = '1M'\n");
    serve(
        "--config",
        file.toString(),
        "--cores",
        "5",
        "--volume",
        "b=1M",
        "--nbd",
        "none",
        "--nbd-unix",
        "/run/p");
    assertThat(started.getFirst().cores()).isEqualTo(5);
    assertThat(started.getFirst().nbd().listen()).isEmpty();
    assertThat(started.getFirst().volumes())
        .containsExactly(
            new VolumeSpec("a", 1 << 20, FlushPolicy.ALWAYS, VolumeSettings.DEFAULT),
            new VolumeSpec("b", 1 << 20, FlushPolicy.ALWAYS, VolumeSettings.DEFAULT));
  }

  @Test
  void theFirstLineOfOutputIsTheReadyLine() {
    assertThat(serve().out()).isEqualTo("ready: nbd 127.0.0.1:10809\n");
    assertThat(Json.parse(serve("--json").out()).get("message").stringValue())
        .isEqualTo("ready: nbd 127.0.0.1:10809");
  }

  @Test
  void aServerThatEndsByItselfIsAFailure() {
    Run run = serve();
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).isEqualTo("plinth: the server ended by itself; its log says why\n");
  }

  @Test
  void aRefusalToStartIsOneLineAndTwo() {
    RunningServer.Starter refusing =
        config -> {
          throw new StartupException(
              "data directory /x is in use by process 1", new IOException("lock"));
        };
    assertThat(Run.of(Map.of(), refusing, "serve"))
        .isEqualTo(new Run(2, "", "plinth: data directory /x is in use by process 1\n"));
    Run json = Run.of(Map.of(), refusing, "serve", "--json");
    assertThat(Json.parse(json.err()).at("/error/code").stringValue()).isEqualTo("startup");
  }

  @Test
  void debuggingShowsTheTrace() {
    RunningServer.Starter refusing =
        config -> {
          throw new StartupException("no", new IOException("the cause"));
        };
    Run run = Run.of(Map.of("PLINTH_DEBUG", "1"), refusing, "serve");
    assertThat(run.err()).startsWith("plinth: no\n").contains("the cause", "\tat ");
  }

  @Test
  void anUnexpectedFailureIsOneLineToo() {
    RunningServer.Starter broken =
        config -> {
          throw new IllegalStateException("boom\nsecond line");
        };
    assertThat(Run.of(Map.of(), broken, "serve"))
        .isEqualTo(new Run(1, "", "plinth: internal error: boom (PLINTH_DEBUG=1 shows where)\n"));
  }

  @Test
  void badOptionsAreRefusedBeforeAnythingStarts() throws IOException {
    assertRefused("bad volume \"demo\": expected NAME=SIZE, such as demo=1G", "--volume", "demo");
    assertRefused("bad size \"1Q\": expected", "--volume", "demo=1Q");
    assertRefused("bad volume name \"a b\": expected", "--volume", "a b=1G");
    assertRefused("volume 'a' is given twice", "--volume", "a=1G", "--volume", "a=1G");
    assertRefused("bad address \"x\": expected", "--nbd", "x");
    assertRefused("bad address \"x\": expected", "--admin", "x");
    assertRefused("bad value for 'cores': expected 1 to 256, not 0", "--cores", "0");
    assertRefused("nowhere to serve NBD", "--nbd", "none");
    assertRefused("no such configuration file: /absent.toml", "--config", "/absent.toml");
    Path file = write("cores = 1\n\nlisen = 1\n");
    assertRefused("plinth.toml:3: unknown key 'lisen'; did you mean", "--config", file.toString());
    assertThat(started).isEmpty();
  }

  @Test
  void aSignalStopsTheServerAndEndsWithZero() {
    CountDownLatch stopped = new CountDownLatch(1);
    List<Integer> exitCodes = new ArrayList<>();
    RunningServer server =
        new EndedServer() {
          @Override
          public void stop() {
            stopped.countDown();
          }
        };
    StopOnSignal stop =
        new StopOnSignal(server::stop, new PrintWriter(new StringWriter()), exitCodes::add);
    assertThat(stop.isStopping()).isFalse();
    stop.run();
    assertThat(stop.isStopping()).isTrue();
    assertThat(stopped.getCount()).isZero();
    assertThat(exitCodes).containsExactly(0);
  }

  @Test
  void aStopThatFailsEndsWithOneAndSaysSo() {
    List<Integer> exitCodes = new ArrayList<>();
    StringWriter err = new StringWriter();
    RunningServer server =
        new EndedServer() {
          @Override
          public void stop() {
            throw new IllegalStateException("sync failed");
          }
        };
    new StopOnSignal(server::stop, new PrintWriter(err), exitCodes::add).run();
    assertThat(exitCodes).containsExactly(1);
    assertThat(err.toString()).startsWith("plinth: did not stop cleanly: sync failed");
  }

  @Test
  void aServerThatEndedByItselfIsNotStoppedAgain() {
    List<Integer> exitCodes = new ArrayList<>();
    StopOnSignal stop =
        new StopOnSignal(
            new EndedServer()::stop, new PrintWriter(new StringWriter()), exitCodes::add);
    stop.disarm();
    stop.run();
    assertThat(exitCodes).isEmpty();
  }

  private void assertRefused(String message, String... options) {
    Run run = serve(options);
    assertThat(run.err()).startsWith("plinth: " + message);
    assertThat(run.err().lines()).hasSize(1);
    assertThat(run.exitCode()).isEqualTo(2);
  }

  private Run serve(String... options) {
    List<String> args = new ArrayList<>(List.of("serve"));
    args.addAll(List.of(options));
    return Run.of(
        Map.of(),
        config -> {
          started.add(config);
          return new EndedServer();
        },
        args.toArray(new String[0]));
  }

  private Path write(String text) throws IOException {
    return Files.writeString(directory.resolve("plinth.toml"), text);
  }
}
