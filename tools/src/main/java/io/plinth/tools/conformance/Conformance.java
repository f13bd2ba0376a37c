package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
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
    Targets targets = targets();
    Map<String, Result> results = new LinkedHashMap<>();
    List<Broken> elsewhere = new ArrayList<>();
    // In the order of the table, also of those that are made at the end.
    selected.forEach(check -> results.put(check.id(), null));
    for (Check check : inOrder()) {
      progress.accept(check.id());
      CheckRun run = new CheckRun(options, targets);
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
    return new ConformanceReport(options, targets.main().facts(), List.copyOf(results.values()));
  }

  /** The server does not outlive the check of how it stops. */
  private List<Check> inOrder() {
    List<Check> order = new ArrayList<>(selected);
    order.sort(Comparator.comparing(ShutdownChecks::isLast));
    return order;
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

  private Targets targets() throws IOException {
    Means means = options.means();
    return new Targets(
        server("", options.uri()),
        server("failing", means.failing()),
        server("forced TLS", means.forcedTls()),
        server("selective TLS", means.selectiveTls()));
  }

  /**
   * Asks what a server offers; one that is there but breaks a rule is judged all the same.
   *
   * @param uri null for none
   */
  private Server server(String label, NbdUri uri) throws IOException {
    if (uri == null) {
      return null;
    }
    Targets targets = new Targets(new Server(label, uri, null), null, null, null);
    CheckRun run = new CheckRun(options, targets);
    Facts facts;
    try {
      facts = Facts.of(run);
    } catch (Broken e) {
      facts = nothing(e.getMessage());
    } catch (UnreachableException | TlsFailedException e) {
      throw new UnreachableException(uri, e);
    } catch (IOException e) {
      facts = nothing(Facts.NOT_ASKED + CheckRun.told(e));
    } finally {
      run.closeAll();
    }
    return new Server(label, uri, facts);
  }

  private static Facts nothing(String problem) {
    return Facts.unknown(problem, Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES, Facts.Tls.NOTLS);
  }
}
