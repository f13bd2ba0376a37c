package io.plinth.engine.api;

/** Owner of memory that was lent by reference; told once when the borrower no longer needs it. */
@FunctionalInterface
public interface Releasable {
  /**
   * Ends one loan.
   *
   * @param token the value that was given along with the loan
   */
  void release(long token);
}
