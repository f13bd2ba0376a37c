package io.plinth.target.volume;

import io.plinth.engine.api.Status;

/** What a volume was at one moment; a read-only export named {@code volume@snapshot}. */
public final class SnapshotVolume extends IndexedVolume {
  private final LogVolume origin;
  private final String snapshot;
  private final long sizeBytes;
  private final long createdMs;
  private final LogPoint point;

  SnapshotVolume(
      LogVolume origin,
      String snapshot,
      long sizeBytes,
      long createdMs,
      BlockIndex index,
      LogPoint point) {
    super(origin.store, index);
    this.origin = origin;
    this.snapshot = snapshot;
    this.sizeBytes = sizeBytes;
    this.createdMs = createdMs;
    this.point = point;
  }

  @Override
  public String name() {
    return origin.name() + "@" + snapshot;
  }

  /** Returns whether it is there for the log's retention only, and nobody asked for it. */
  public boolean isHidden() {
    return snapshot.startsWith(Retention.PREFIX);
  }

  /** Returns the volume that this was; any thread. */
  public LogVolume origin() {
    return origin;
  }

  @Override
  VolumeGroup owner() {
    return origin.group();
  }

  /** Returns the name within the volume; any thread. */
  public String snapshotName() {
    return snapshot;
  }

  /** Returns when it was taken, in milliseconds since the Unix epoch; any thread. */
  public long createdMs() {
    return createdMs;
  }

  /** Returns where in the log it was taken. */
  LogPoint point() {
    return point;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return true;
  }

  @Override
  public VolumeSettings settings() {
    return origin.settings();
  }

  @Override
  public boolean submit(VolumeRequest request) {
    request.volume = this;
    if (isClosed()) {
      store.complete(request, Status.ESHUTDOWN);
      return true;
    }
    if (request.length == 0 && request.operation != Operation.FLUSH) {
      store.complete(request, Status.OK);
      return true;
    }
    VolumeGroup group = origin.group();
    if (!group.isAlone() && group.admission() == Status.EAGAIN) {
      // Entries that are not applied since a start may have taken away what the index still names.
      return store.later();
    }
    return switch (request.operation) {
      case READ -> read(request);
      case BLOCK_STATUS -> blockStatus(request);
      case FLUSH, CACHE -> {
        store.complete(request, Status.OK);
        yield true;
      }
      case WRITE, TRIM, WRITE_ZEROES -> {
        store.complete(request, Status.EPERM);
        yield true;
      }
    };
  }
}
