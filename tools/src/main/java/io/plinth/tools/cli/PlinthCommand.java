package io.plinth.tools.cli;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.UsageMessageSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** The {@code plinth} command: only its help; the work is in the subcommands. */
@Command(
    name = "plinth",
    description = "Block storage: serves volumes over NBD, and manages a running server.",
    footer = {
      "",
      "Examples:",
      "  plinth serve --volume demo=1G     serve a new or existing volume of 1 GiB",
      "  plinth volume list                what the running server has",
      "  plinth stats demo                 latencies of one volume",
      "  plinth --admin 10.0.0.2:10810 node list",
      "                                    the nodes, as another one sees them",
      "  plinth COMMAND --help             options and examples of a command"
    })
final class PlinthCommand implements Runnable {
  private static final String DEBUG = "PLINTH_DEBUG";
  private static final Map<String, String> EXIT_CODES = new LinkedHashMap<>();

  static {
    EXIT_CODES.put("0", "done");
    EXIT_CODES.put("1", "the operation failed");
    EXIT_CODES.put("2", "bad usage or configuration, or the server refuses to start");
    EXIT_CODES.put("3", "the server cannot be reached");
  }

  @Spec private CommandSpec spec;

  private PlinthCommand() {}

  /**
   * Builds the command.
   *
   * @param environment for {@code PLINTH_DEBUG}, and the sockets that {@code serve} inherits
   * @param starter what {@code serve} starts
   */
  static CommandLine commandLine(
      PrintWriter out,
      PrintWriter err,
      Map<String, String> environment,
      RunningServer.Starter starter) {
    CommandLine snapshot =
        new CommandLine(new SnapshotCommand())
            .addSubcommand(new SnapshotCreateCommand())
            .addSubcommand(new SnapshotListCommand())
            .addSubcommand(new SnapshotDeleteCommand());
    CommandLine volume =
        new CommandLine(new VolumeCommand())
            .addSubcommand(new VolumeCreateCommand())
            .addSubcommand(new VolumeCloneCommand())
            .addSubcommand(new VolumeRestoreCommand())
            .addSubcommand(new VolumeListCommand())
            .addSubcommand(new VolumeShowCommand())
            .addSubcommand(new VolumeSetCommand())
            .addSubcommand(new VolumeResizeCommand())
            .addSubcommand(snapshot)
            .addSubcommand(new VolumeDiffCommand())
            .addSubcommand(new VolumeVerifyCommand())
            .addSubcommand(new VolumeRollbackCommand())
            .addSubcommand(new VolumeMoveLeaderCommand())
            .addSubcommand(new VolumeDeleteCommand());
    CommandLine scrub =
        new CommandLine(new ScrubCommand())
            .addSubcommand(new ScrubStartCommand())
            .addSubcommand(new ScrubStatusCommand())
            .addSubcommand(new ScrubStopCommand());
    CommandLine root =
        new CommandLine(new PlinthCommand())
            .addSubcommand(new ServeCommand(environment, starter))
            .addSubcommand(volume)
            .addSubcommand(scrub)
            .addSubcommand(
                new CommandLine(new ClusterCommand())
                    .addSubcommand(new ClusterInitCommand())
                    .addSubcommand(new ClusterJoinCommand())
                    .addSubcommand(new ClusterStatusCommand()))
            .addSubcommand(
                new CommandLine(new NodeCommand())
                    .addSubcommand(new NodeListCommand())
                    .addSubcommand(new NodeShowCommand())
                    .addSubcommand(new NodeDrainCommand())
                    .addSubcommand(new NodeUndrainCommand())
                    .addSubcommand(new NodeReplaceCommand())
                    .addSubcommand(new NodeRemoveCommand()))
            .addSubcommand(new StatsCommand())
            .addSubcommand(new StatusCommand())
            .addSubcommand(new InspectCommand())
            .addSubcommand(
                new CommandLine(new ConformanceCommand())
                    .addSubcommand(new ConformanceNbdCommand()))
            .addSubcommand(new CommandLine(new FuzzCommand()).addSubcommand(new FuzzNbdCommand()))
            .addSubcommand(new AttachCommand())
            .addSubcommand(new DetachCommand())
            .addSubcommand(new AttachmentsCommand())
            .addSubcommand(new VersionCommand());
    boolean debug = "1".equals(environment.get(DEBUG));
    root.setOut(out)
        .setErr(err)
        .setUsageHelpWidth(100)
        .setParameterExceptionHandler((e, args) -> usageFailed(e, debug))
        .setExecutionStrategy(EarlyOptions::execute)
        .setExecutionExceptionHandler(
            (e, command, parsed) -> executionFailed(e, command, parsed, debug));
    boolean _ = EarlyOptions.offer(root);
    describe(root);
    return root;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }

  /** Gives each command a help option and the same list of exit codes. */
  private static void describe(CommandLine command) {
    CommandSpec spec = command.getCommandSpec();
    spec.mixinStandardHelpOptions(false);
    spec.addOption(
        CommandLine.Model.OptionSpec.builder("-h", "--help")
            .usageHelp(true)
            .description("Show this help.")
            .build());
    UsageMessageSpec usage = spec.usageMessage();
    usage.sortOptions(false);
    usage.optionListHeading("%nOptions:%n");
    usage.commandListHeading("%nCommands:%n");
    usage.exitCodeListHeading("%nExit codes:%n");
    usage.exitCodeList(EXIT_CODES);
    command.getSubcommands().values().forEach(PlinthCommand::describe);
  }

  private static int usageFailed(ParameterException failure, boolean debug) {
    CommandLine command = failure.getCommandLine();
    PrintWriter err = command.getErr();
    err.println("plinth: " + firstLine(failure));
    err.println("Try '" + command.getCommandSpec().qualifiedName() + " --help'.");
    debugTrace(failure, debug, err);
    return ExitCodes.USAGE;
  }

  private static int executionFailed(
      Exception failure, CommandLine command, ParseResult parsed, boolean debug) {
    PrintWriter err = command.getErr();
    int exitCode = ExitCodes.FAILED;
    String code = "internal";
    String message = "internal error: " + firstLine(failure) + " (PLINTH_DEBUG=1 shows where)";
    if (failure instanceof CliException told) {
      exitCode = told.exitCode();
      code = told.code();
      message = firstLine(told);
    }
    if (parsed != null && parsed.expandedArgs().contains("--json")) {
      err.println(Json.error(code, message));
    } else {
      err.println("plinth: " + message);
    }
    debugTrace(failure, debug, err);
    return exitCode;
  }

  private static void debugTrace(Exception failure, boolean debug, PrintWriter err) {
    if (debug) {
      failure.printStackTrace(err);
    }
  }

  private static String firstLine(Exception failure) {
    String message =
        failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
    return message.lines().findFirst().orElse("");
  }
}
