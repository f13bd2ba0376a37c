package io.plinth.tools.cli;

import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.main.ConfigException;
import io.plinth.target.main.ConfigLoader;
import io.plinth.target.main.ListenAddress;
import io.plinth.target.main.ServerConfig;
import io.plinth.target.main.StartupException;
import io.plinth.target.security.VerifyClients;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth serve}. */
@Command(
    name = "serve",
    description = {
      "Serve volumes until SIGTERM or SIGINT, which finish what is in flight, sync and exit with 0.",
      "The first line on standard output says that it is ready, and where. Options win over the file.",
      "",
      "Listening sockets that systemd, or nbdinfo, hands over (LISTEN_FDS) are served instead of",
      "nbd.listen and nbd.unix of the file, and that line is written to standard error then."
    },
    footer = {
      "",
      "Examples:",
      "  plinth serve --volume demo=1G",
      "  plinth serve --config /etc/plinth/plinth.toml",
      "  plinth serve --data /srv/plinth --nbd 0.0.0.0:10809 --nbd-unix /run/plinth.sock",
      "",
      "Serve for one client, on a socket of its own:",
      "  nbdinfo -- [ plinth serve --data /srv/plinth --admin 127.0.0.1:0 ]",
      "",
      "Attach a client:",
      "  nbdinfo nbd://127.0.0.1:10809/demo"
    })
final class ServeCommand implements Callable<Integer> {
  /** For how long a stop waits for the start that it interrupts. */
  private static final long START_PATIENCE_S = 10;

  private final Map<String, String> environment;
  private final RunningServer.Starter starter;

  @Spec private CommandSpec spec;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Read this configuration file (TOML).")
  private Path config;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description = "Data directory, created when absent (default: ./plinth-data).")
  private Path data;

  @Option(
      names = "--volume",
      paramLabel = "NAME=SIZE",
      description =
          "Create this volume when it is absent; serve it as it is when its size is the same. Repeatable.")
  private List<String> volumes = List.of();

  @Option(
      names = "--nbd",
      paramLabel = "HOST:PORT",
      description =
          "Serve NBD here; 'none' for no TCP at all (default: 127.0.0.1:10809). Repeatable.")
  private List<String> nbd = List.of();

  @Option(
      names = "--nbd-unix",
      paramLabel = "PATH",
      description = "Serve NBD on this unix socket too. Repeatable.")
  private List<Path> nbdUnix = List.of();

  @Option(
      names = "--admin",
      paramLabel = "HOST:PORT",
      description = "Serve the admin API here (default: 127.0.0.1:10810).")
  private String admin;

  @Option(
      names = "--cores",
      paramLabel = "N",
      description = "Engine threads (default: half of the processors, at least 1).")
  private Integer cores;

  @Option(
      names = "--tls",
      paramLabel = "MODE",
      description =
          "TLS of volumes that have none of their own: off, allowed or required (default: allowed"
              + " with certificates or keys).")
  private String tls;

  @Option(
      names = "--tls-certificates",
      paramLabel = "DIR",
      description =
          "Offer TLS with server-cert.pem and server-key.pem of this directory; clients are verified"
              + " when ca-cert.pem is there too.")
  private Path tlsCertificates;

  @Option(
      names = "--tls-verify-clients",
      paramLabel = "WHAT",
      description = "What clients have to show: off, optional or required.")
  private String tlsVerifyClients;

  @Option(
      names = "--tls-psk",
      paramLabel = "FILE",
      description = "Offer TLS with the pre-shared keys of this file (IDENTITY:HEX).")
  private Path tlsPsk;

  @Option(names = "--json", description = "Write the ready line as JSON.")
  private boolean json;

  /** Whoever hands sockets over need not wait, and may have other use for standard output. */
  private boolean activated;

  ServeCommand(Map<String, String> environment, RunningServer.Starter starter) {
    this.environment = environment;
    this.starter = starter;
  }

  @Override
  public Integer call() throws InterruptedException {
    ServerConfig configuration = configuration();
    CompletableFuture<RunningServer> started = new CompletableFuture<>();
    // Clients can be there before the start is over, and whoever started it for them may end it
    // then.
    StopOnSignal stop = new StopOnSignal(() -> stop(started), spec.commandLine().getErr());
    stop.install();
    RunningServer server;
    try {
      server = starter.start(configuration);
    } catch (StartupException e) {
      stop.disarm();
      boolean _ = started.complete(null);
      throw new CliException(ExitCodes.USAGE, "startup", e.getMessage(), e);
    } catch (RuntimeException e) {
      stop.disarm();
      boolean _ = started.complete(null);
      throw e;
    }
    boolean _ = started.complete(server);
    printReady(server);
    server.awaitTermination();
    if (stop.isStopping()) {
      return ExitCodes.OK;
    }
    stop.disarm();
    throw new CliException(
        ExitCodes.FAILED, "ended", "the server ended by itself; its log says why", null);
  }

  /** Ends the server, or the process when there is none yet: no start needs an orderly end. */
  private static void stop(CompletableFuture<RunningServer> started) {
    try {
      RunningServer server = started.get(START_PATIENCE_S, TimeUnit.SECONDS);
      if (server != null) {
        server.stop();
      }
    } catch (TimeoutException e) {
      throw new IllegalStateException("it had not started yet", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException e) {
      throw new IllegalStateException("the start failed", e);
    }
  }

  /** Returns the file's configuration, or the default, changed by the options. */
  private ServerConfig configuration() {
    try {
      ServerConfig.Builder builder =
          config == null ? ServerConfig.builder() : ConfigLoader.load(config);
      if (data != null) {
        builder.dataDir(data);
      }
      if (cores != null) {
        builder.cores(cores);
      }
      List<Integer> sockets = SocketActivation.sockets(environment, ProcessHandle.current().pid());
      activated = !sockets.isEmpty();
      if (activated) {
        if (!nbd.isEmpty() || !nbdUnix.isEmpty()) {
          throw CliException.usage(
              "options --nbd and --nbd-unix exclude sockets that are handed over (LISTEN_FDS="
                  + sockets.size()
                  + "): leave them out",
              null);
        }
        builder.onlyInheritedSockets(sockets);
      }
      if (!nbd.isEmpty()) {
        builder.nbdListen(
            nbd.equals(List.of("none"))
                ? List.of()
                : nbd.stream().map(ListenAddress::parse).toList());
      }
      if (!nbdUnix.isEmpty()) {
        builder.nbdUnix(nbdUnix);
      }
      if (admin != null) {
        builder.adminListen(ListenAddress.parse(admin));
      }
      addTls(builder);
      for (String volume : volumes) {
        builder.addVolume(VolumeSpec.parse(volume, builder.flushPolicy(), VolumeSettings.DEFAULT));
      }
      return builder.build();
    } catch (ConfigException | IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
  }

  private void addTls(ServerConfig.Builder builder) {
    if (tls != null) {
      builder.tls(TlsMode.parse(tls));
    }
    if (tlsCertificates != null) {
      builder.tlsCertificates(tlsCertificates);
    }
    if (tlsVerifyClients != null) {
      builder.tlsVerifyClients(VerifyClients.parse(tlsVerifyClients));
    }
    if (tlsPsk != null) {
      builder.tlsPsk(tlsPsk);
    }
  }

  private void printReady(RunningServer server) {
    PrintWriter out = activated ? spec.commandLine().getErr() : spec.commandLine().getOut();
    if (json) {
      ObjectNode document = Json.object();
      document.put("event", "ready");
      document.put("message", server.readyLine());
      out.println(Json.oneLine(document));
    } else {
      out.println(server.readyLine());
    }
    out.flush();
  }
}
