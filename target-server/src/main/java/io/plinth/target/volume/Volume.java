package io.plinth.target.volume;

import io.plinth.engine.api.Core;

/** A named block device. Everything but the identity is used on the owning core's thread only. */
public interface Volume {
  /** Unit of the index and of checksums, in bytes. */
  int BLOCK_BYTES = 4096;

  /** The smallest volume: one block. */
  long MINIMUM_BYTES = BLOCK_BYTES;

  /** The largest volume: 64 TiB. */
  long MAXIMUM_BYTES = 64L << 40;

  /** Told once that a refused request may be accepted now. */
  @FunctionalInterface
  interface ReadyListener {
    /** Called on the volume's core. */
    void onVolumeReady();
  }

  /** A client that uses a volume; all calls are on the volume's core. */
  @FunctionalInterface
  interface Attachment {
    /** The volume is gone and the client, not attached any more, must be disconnected. */
    void onVolumeClosed();

    /** A client that {@link #attach} has let wait may submit requests from now on. */
    default void onAdmitted() {}

    /**
     * A client may have gone elsewhere: if this one has, nothing of it may be submitted any more,
     * and what was is {@link VolumeRequest#isAbandoned}. May {@link #detach}.
     */
    default void onFence() {}
  }

  /** Returns the name; any thread. */
  String name();

  /** Returns the size in bytes; any thread. */
  long sizeBytes();

  /** Returns the core that owns the volume; any thread. */
  Core core();

  /** Returns whether writing requests are refused; any thread. */
  boolean readOnly();

  /** Returns the settings as they are now, those of its volume for a snapshot; any thread. */
  VolumeSettings settings();

  /**
   * Submits a request whose range lies inside the volume.
   *
   * @return true when accepted: {@link VolumeRequest#onCompleted} is called exactly once and the
   *     payload has been consumed; false when the volume can't take it now: nothing has happened,
   *     and {@link #awaitReady} tells when to try again
   */
  boolean submit(VolumeRequest request);

  /**
   * Registers to be told once when a refused request may be accepted; listeners are told in order.
   */
  void awaitReady(ReadyListener listener);

  /** Forgets a listener that has gone away. */
  void cancelReady(ReadyListener listener);

  /**
   * Registers a client for as long as it uses the volume.
   *
   * @return whether it may submit requests at once; if not, {@link Attachment#onAdmitted} says
   *     when: what clients that have gone asked for on other nodes is over then
   */
  boolean attach(Attachment attachment);

  /** Returns how many clients use the volume; any thread. */
  int attachmentCount();

  /** Ends what {@link #attach} began. */
  void detach(Attachment attachment);
}
