package io.plinth.tools.conformance;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** All rules, and the run over them. */
public final class Conformance {
  private static final List<Check> CHECKS = checks();

  private final Options options;
  private final List<Check> selected;

  /**
   * A run.
   *
   * @param only rule ids or letters of groups; empty for all
   * @throws IllegalArgumentException when there is no such rule or group
   */
  public Conformance(Options options, List<String> only) {
    this.options = options;
    this.selected = select(only);
  }

  private static List<Check> checks() {
    List<Check> checks = new ArrayList<>(HandshakeChecks.ALL);
    checks.addAll(ExportChecks.HANDSHAKE);
    checks.addAll(TlsChecks.ALL);
    checks.addAll(ReplyChecks.ALL);
    checks.addAll(StatusChecks.ALL);
    checks.addAll(DataChecks.ALL);
    checks.addAll(ErrorChecks.ALL);
    checks.addAll(ExportChecks.SIZES);
    checks.addAll(ExtendedChecks.ALL);
    checks.add(new Check("Z1", "RESIZE: its errors, who learns of it", DataChecks::resize));
    return List.copyOf(checks);
  }

  /** Returns all rules by their ids. */
  public static Map<String, String> rules() {
    Map<String, String> rules = new LinkedHashMap<>();
    CHECKS.forEach(check -> rules.put(check.id(), check.rule()));
    return rules;
  }

  private static List<Check> select(List<String> only) {
    if (only.isEmpty()) {
      return CHECKS;
    }
    for (String word : only) {
      if (CHECKS.stream().noneMatch(check -> matches(check, word))) {
        throw new IllegalArgumentException("no rule or group " + word + "; --list shows the rules");
      }
    }
    return CHECKS.stream()
        .filter(check -> only.stream().anyMatch(word -> matches(check, word)))
        .toList();
  }

  private static boolean matches(Check check, String word) {
    return check.id().equals(word) || (word.length() == 1 && check.id().startsWith(word));
  }

  /**
   * Makes the checks.
   *
   * @param progress is told each id before its check
   * @throws IOException when the server can't be reached at all
   */
  public ConformanceReport run(Consumer<String> progress) throws IOException {
    Facts facts = facts();
    Map<String, Result> results = new LinkedHashMap<>();
    List<Broken> elsewhere = new ArrayList<>();
    for (Check check : selected) {
      progress.accept(check.id());
      CheckRun run = new CheckRun(options, facts);
      try {
        check.body().run(run);
      } finally {
        run.closeAll();
      }
      results.put(check.id(), judged(check, run, elsewhere));
    }
    // A breach is of the rule that it breaks, wherever it was met.
    for (Broken breach : elsewhere) {
      Result result = results.get(breach.rule());
      if (result.outcome() != Result.Outcome.FAIL) {
        results.put(
            breach.rule(),
            new Result(breach.rule(), result.rule(), Result.Outcome.FAIL, breach.getMessage()));
      }
    }
    return new ConformanceReport(options, facts, List.copyOf(results.values()));
  }

  private Result judged(Check check, CheckRun run, List<Broken> elsewhere) {
    Result result = run.result(check);
    String other = "";
    for (Broken breach : run.elsewhere()) {
      boolean known = selected.stream().anyMatch(each -> each.id().equals(breach.rule()));
      if (breach.rule().equals(check.id()) || !known) {
        String prefix = breach.rule().equals(check.id()) ? "" : breach.rule() + ": ";
        return new Result(
            check.id(), check.rule(), Result.Outcome.FAIL, prefix + breach.getMessage());
      }
      elsewhere.add(breach);
      other = "not judged, since " + breach.rule() + " is broken: " + breach.getMessage();
    }
    return other.isEmpty() || result.outcome() == Result.Outcome.FAIL
        ? result
        : new Result(check.id(), check.rule(), Result.Outcome.SKIP, other);
  }

  /**
   * Asks what the server offers; a server that is there but breaks a rule is judged all the same.
   */
  private Facts facts() throws IOException {
    CheckRun run = new CheckRun(options, null);
    try {
      return Facts.of(run);
    } catch (Broken e) {
      return Facts.unknown(e.getMessage(), Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES, Facts.Tls.NOTLS);
    } catch (UnreachableException | TlsFailedException e) {
      throw e;
    } catch (IOException e) {
      return Facts.unknown(
          "what is offered could not be asked: " + CheckRun.told(e),
          Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES,
          Facts.Tls.NOTLS);
    } finally {
      run.closeAll();
    }
  }
}
