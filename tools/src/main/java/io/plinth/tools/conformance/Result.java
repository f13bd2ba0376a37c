package io.plinth.tools.conformance;

/**
 * What a check has found.
 *
 * @param id of the rule
 * @param rule in a few words
 * @param outcome whether the server keeps it
 * @param detail which probe failed and what was seen, why it was skipped, or what was probed
 */
public record Result(String id, String rule, Outcome outcome, String detail) {
  /** Pass, fail, or not to be judged. */
  public enum Outcome {
    PASS("pass"),
    FAIL("fail"),
    SKIP("skip");

    private final String word;

    Outcome(String word) {
      this.word = word;
    }

    /** Returns the word for people and programs. */
    public String word() {
      return word;
    }
  }
}
