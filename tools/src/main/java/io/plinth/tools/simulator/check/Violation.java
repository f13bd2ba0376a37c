package io.plinth.tools.simulator.check;

/** A node has not kept a promise. */
public final class Violation extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Guarantee guarantee;

  /**
   * Creates the report.
   *
   * @param guarantee what was promised
   * @param message what was seen
   */
  public Violation(Guarantee guarantee, String message) {
    super(guarantee + " (" + guarantee.text() + "): " + message);
    this.guarantee = guarantee;
  }

  /** Returns what was promised. */
  public Guarantee guarantee() {
    return guarantee;
  }
}
