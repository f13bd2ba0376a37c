package io.plinth.tools.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * The options of {@link ClientOptions} in front of a command: {@code plinth --admin HOST:PORT node
 * list} is {@code plinth node list --admin HOST:PORT}. What stands behind the command counts first.
 */
final class EarlyOptions {
  private static final String MIXIN = "early";

  private EarlyOptions() {}

  /** Lets a command, and all below it that only lead to others, take them. */
  static boolean offer(CommandLine command) {
    boolean isClient =
        command.getMixins().values().stream().anyMatch(ClientOptions.class::isInstance);
    boolean leads = false;
    for (CommandLine below : command.getSubcommands().values()) {
      leads |= offer(below);
    }
    if (leads) {
      CommandLine _ = command.addMixin(MIXIN, new ClientOptions());
    }
    return isClient || leads;
  }

  /** Runs what was asked for, with the options that stand in front of it. */
  static int execute(ParseResult parsed) {
    Map<String, OptionSpec> given = new LinkedHashMap<>();
    ParseResult last = parsed;
    while (last.hasSubcommand()) {
      CommandSpec early = last.commandSpec().mixins().get(MIXIN);
      if (early != null) {
        for (OptionSpec option : early.options()) {
          if (last.hasMatchedOption(option)) {
            given.put(option.longestName(), option);
          }
        }
      }
      last = last.subcommand();
    }
    CommandSpec command = last.commandSpec();
    if (command.subcommands().isEmpty()) {
      for (OptionSpec option : given.values()) {
        if (!last.hasMatchedOption(option.longestName())) {
          pass(option, command);
        }
      }
    }
    return new CommandLine.RunLast().execute(parsed);
  }

  private static void pass(OptionSpec option, CommandSpec command) {
    OptionSpec own = command.findOption(option.longestName());
    // 'serve' calls another thing so.
    if (own == null || !own.description()[0].equals(option.description()[0])) {
      throw new ParameterException(
          command.commandLine(),
          "option "
              + option.longestName()
              + " can't be in front of '"
              + command.name()
              + "', which is no command for a running server");
    }
    Object _ = own.setValue(option.getValue());
  }
}
