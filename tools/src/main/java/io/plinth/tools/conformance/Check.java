package io.plinth.tools.conformance;

import java.io.IOException;

/**
 * What is done for one rule.
 *
 * @param id of the rule
 * @param rule in a few words
 * @param body makes its probes
 */
record Check(String id, String rule, Body body) {
  /** Makes the probes of a check. */
  @FunctionalInterface
  interface Body {
    void run(CheckRun run) throws IOException;
  }
}
