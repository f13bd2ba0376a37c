package io.plinth.target.forward;

/** Mistakes that tests switch on to prove that their checks can fail; empty in production. */
public enum ForwardingBug {
  /** A write whose outcome is not known is sent again to the next leader. */
  RESEND_UNKNOWN_WRITE,
  /** Clients stay although a new epoch has begun. */
  KEEP_CLIENTS_OVER_EPOCH,
  /** A flush whose link was lost is answered as if it had been done. */
  FLUSH_LOST_IS_DONE,
  /** Who has attached may ask before the fence is there. */
  FENCE_NOT_AWAITED,
  /** The leader says that a fence is there before all nodes have answered. */
  FENCE_ANSWERED_EARLY,
  /** A node does not look which of its clients have gone. */
  FENCE_SKIPPED
}
