package io.plinth.engine.api;

/**
 * Told once when an accepted operation has ended. Implementations are long-lived objects: the
 * operation is identified by {@code context}, so that submitting allocates nothing.
 */
@FunctionalInterface
public interface Completion {
  /**
   * Called on the owning core's thread after the completion queue has been drained, never from
   * inside the submit call.
   *
   * @param context the value given at submission
   * @param result bytes transferred, a new descriptor, or zero; a negated errno on failure, see
   *     {@link Status}
   */
  void onComplete(long context, int result);
}
