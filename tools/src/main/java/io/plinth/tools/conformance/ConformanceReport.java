package io.plinth.tools.conformance;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What came of a run. */
public final class ConformanceReport {
  private final Options options;
  private final Facts facts;
  private final List<Result> results;

  ConformanceReport(Options options, Facts facts, List<Result> results) {
    this.options = options;
    this.facts = facts;
    this.results = results;
  }

  /** Returns one result for each rule, in the order of the table. */
  public List<Result> results() {
    return results;
  }

  /** Returns how many rules have this outcome. */
  public long count(Result.Outcome outcome) {
    return results.stream().filter(result -> result.outcome() == outcome).count();
  }

  /** Returns the same for programs. */
  public Map<String, Object> document() {
    Map<String, Object> document = new LinkedHashMap<>();
    document.put("uri", options.uri().text());
    document.put("server", server());
    document.put(
        "checks",
        results.stream()
            .map(result -> {
              Map<String, Object> check = new LinkedHashMap<>();
              check.put("id", result.id());
              check.put("rule", result.rule());
              check.put("result", result.outcome().word());
              check.put("detail", result.detail());
              return check;
            })
            .toList());
    Map<String, Object> summary = new LinkedHashMap<>();
    for (Result.Outcome outcome : Result.Outcome.values()) {
      summary.put(outcome.word(), count(outcome));
    }
    document.put("summary", summary);
    return document;
  }

  private Map<String, Object> server() {
    Map<String, Object> server = new LinkedHashMap<>();
    server.put("problem", facts.problem().isEmpty() ? null : facts.problem());
    server.put("handshakeFlags", facts.handshakeFlags());
    server.put("tls", facts.tls().name());
    server.put("structuredReplies", facts.structured());
    server.put("extendedHeaders", facts.extended());
    server.put("baseAllocation", facts.allocation());
    server.put("sizeBytes", facts.size());
    server.put("transmissionFlags", facts.flags());
    server.put("structuredTransmissionFlags", facts.structuredFlags());
    server.put("extendedTransmissionFlags", facts.extendedFlags());
    server.put("blockSizesTold", facts.blockSizes());
    server.put("minimumBlockBytes", facts.minimum());
    server.put("preferredBlockBytes", facts.preferred());
    server.put("maximumBlockBytes", facts.maximum());
    return server;
  }

  /** Returns a Markdown table, and a line with totals. */
  public String markdown() {
    StringBuilder text = new StringBuilder();
    text.append("| id | rule | result | detail |\n| --- | --- | --- | --- |\n");
    for (Result result : results) {
      text.append("| ")
          .append(result.id())
          .append(" | ")
          .append(result.rule())
          .append(" | ")
          .append(result.outcome().word())
          .append(" | ")
          .append(cell(result.detail()))
          .append(" |\n");
    }
    return text.append('\n')
        .append(count(Result.Outcome.PASS))
        .append(" pass, ")
        .append(count(Result.Outcome.FAIL))
        .append(" fail, ")
        .append(count(Result.Outcome.SKIP))
        .append(" skip\n")
        .toString();
  }

  private static String cell(String text) {
    return text.replace("|", "\\|").replaceAll("\\p{Cntrl}", " ");
  }
}
