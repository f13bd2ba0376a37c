package io.plinth.tools.conformance;

/** The server did what the protocol's text forbids. */
final class Broken extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String rule;
  private final boolean should;

  private Broken(String rule, boolean should, String seen) {
    super(seen);
    this.rule = rule;
    this.should = should;
  }

  /** The rule that is being checked is broken. */
  static Broken here(String seen) {
    return new Broken("", false, seen);
  }

  /** Only a SHOULD of the rule that is being checked is broken. */
  static Broken should(String seen) {
    return new Broken("", true, seen);
  }

  /** A rule is broken, whichever was being checked. */
  static Broken rule(String rule, String seen) {
    return new Broken(rule, false, seen);
  }

  /** Returns the id of the rule, or an empty string for the one that is being checked. */
  String rule() {
    return rule;
  }

  boolean isShould() {
    return should;
  }
}
