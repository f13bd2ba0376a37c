package io.plinth.tools.simulator.cluster;

/** What can go wrong in a simulated cluster. */
enum ClusterFault {
  /** A process dies; the page cache stays. */
  PROCESS_CRASH("process crash"),
  /** All processes die at once. */
  ALL_CRASH("crash of all"),
  /** One machine loses power: of what was not synced a random part is on its disk, torn. */
  POWER_CUT("power cut"),
  /** All machines that are up lose power at once. */
  ALL_POWER_CUT("power cut of all"),
  /** All machines with replicas of a volume lose power at once, and others do not. */
  MEMBERS_POWER_CUT("power cut of all members"),
  /** A node hands its leads over, closes its log and ends. */
  ORDERLY_STOP("orderly stop"),
  /** A node does not run for a while. */
  PAUSE("pause"),
  /** Nothing gets from one machine to another. */
  ONE_WAY("one-way partition"),
  /** Nothing gets to or from a machine. */
  ISOLATION("isolation"),
  /** Bytes are lost, and the connection with them. */
  LOSS("loss"),
  /** Some bytes take long, so that what other connections carry overtakes them. */
  LATE("delay"),
  /** The way from one machine to another is slow. */
  SLOW_WAY("slow way"),
  /** All connections between two machines are reset. */
  RESET("reset"),
  /** A machine comes back with an empty disk. */
  WIPE("wiped node"),
  /** A bit of durable payload flips on the disk of one node. */
  BIT_ROT("bit rot"),
  /** A block of durable payload can't be read from the disk of one node. */
  READ_ERROR("latent read error"),
  /** On the disk of one node a block went to the place of another one. */
  MISDIRECTED_WRITE("misdirected write"),
  /** The file system of one node, or of all, has no more room for segments. */
  FULL_DISK("full disk"),
  /** A sync fails, and the kernel forgets the pages that it could not write. */
  FAILED_SYNC("failed sync"),
  /** A durable header has rotted when a node starts: it is mended as from a copy of the disk. */
  HEADER_ROT("header rot"),
  /** Syncs and reads of a node may take long, from its next start on. */
  SLOW_DEVICE("slow device");

  private final String label;

  ClusterFault(String label) {
    this.label = label;
  }

  /** Returns whether it damages payload. */
  boolean isDamage() {
    return this == BIT_ROT || this == READ_ERROR || this == MISDIRECTED_WRITE;
  }

  /** Returns what to call it in a report. */
  String label() {
    return label;
  }
}
