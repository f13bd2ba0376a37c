package io.plinth.engine.sim;

/** What can go wrong with a simulated machine. A {@link SimDisk} counts what did. */
public enum Fault {
  /** The process dies; the page cache stays. */
  PROCESS_CRASH("process crash"),
  /** The machine loses power: of what was not synced a random part is on the disk, torn. */
  POWER_CUT("power cut"),
  /** A bit of payload that was durable flips on the disk. */
  BIT_ROT("bit rot"),
  /** A bit of a durable batch header flips on the disk. */
  HEADER_ROT("header rot"),
  /** A page that was durable can't be read from the disk until it is written again. */
  READ_ERROR("latent read error"),
  /** The write of one page went to the place of another. */
  MISDIRECTED_WRITE("misdirected write"),
  /** There is no room for another segment. */
  FULL_DISK("full disk"),
  /** A sync takes long. */
  SLOW_SYNC("slow sync"),
  /** A read takes long. */
  SLOW_READ("slow read"),
  /** A sync fails, and the kernel forgets the pages that it could not write. */
  FAILED_SYNC("failed sync");

  private final String label;

  Fault(String label) {
    this.label = label;
  }

  /** Returns what to call it in a report. */
  public String label() {
    return label;
  }
}
