package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.Replica;

/**
 * Reads and flushes of a group with several members: each waits until it is certain that this
 * replica still leads, and until it has applied what was committed then. Under a lease that is at
 * once.
 *
 * <pre>
 *   arrived --> asked (one question for all of them, which began after they came) --> served
 * </pre>
 *
 * What is refused here had no effect, and may be asked elsewhere: EREMOTE.
 */
final class GroupReads {
  /** Of so many requests behind one that waits pages of the index are read. */
  private static final int READ_AHEAD = 32;

  private final VolumeStore store;
  private final VolumeGroup group;
  private final LogVolume volume;
  private final Replica replica;
  private final boolean asksNobody;
  private final Volume.ReadyListener retry = this::onReady;
  private RequestQueue arrived = new RequestQueue();
  private RequestQueue asked = new RequestQueue();
  private final RequestQueue granted = new RequestQueue();

  /** What has found no room for what it reads from the disk. */
  private VolumeRequest stalled;

  private boolean awaitsReady;
  private boolean serving;
  private long question;
  private long grantedIndex = -1;

  GroupReads(VolumeStore store, VolumeGroup group, LogVolume volume, Replica replica) {
    this.store = store;
    this.group = group;
    this.volume = volume;
    this.replica = replica;
    this.asksNobody = store.isPlanted(PlantedBug.READ_AS_DEPOSED);
  }

  /** Takes a request; it is completed by the volume, or with an error. */
  void add(VolumeRequest request) {
    if (asksNobody) {
      granted.add(request);
      serve();
      return;
    }
    arrived.add(request);
    ask();
  }

  private void ask() {
    if (!asked.isEmpty() || arrived.isEmpty()) {
      return;
    }
    RequestQueue empty = asked;
    asked = arrived;
    arrived = empty;
    grantedIndex = -1;
    if (replica.read(++question) != 0) {
      refuse(asked, Status.EREMOTE);
    }
  }

  void onGranted(long id, long index) {
    if (id == question) {
      grantedIndex = index;
      serve();
    }
  }

  void onRefused(long id) {
    if (id == question) {
      refuse(asked, Status.EREMOTE);
      ask();
    }
  }

  /** Serves what was granted and applied; called when there is news of either. */
  void serve() {
    if (serving) {
      return;
    }
    serving = true;
    do {
      if (grantedIndex >= 0 && grantedIndex <= group.appliedIndex()) {
        grantedIndex = -1;
        while (!asked.isEmpty()) {
          granted.add(asked.poll());
        }
        ask();
      }
      serveGranted();
    } while (grantedIndex >= 0 && grantedIndex <= group.appliedIndex() && stalled == null);
    serving = false;
  }

  private void serveGranted() {
    while (stalled != null || !granted.isEmpty()) {
      VolumeRequest request = stalled == null ? granted.poll() : stalled;
      stalled = null;
      if (!volume.serve(request)) {
        stalled = request;
        readAhead();
        if (!awaitsReady) {
          awaitsReady = true;
          store.awaitReady(retry);
        }
        return;
      }
    }
  }

  /** Those behind will need pages of the index too: better all at once than one after the other. */
  private void readAhead() {
    VolumeRequest request = granted.peek();
    for (int i = 0; i < READ_AHEAD && request != null; i++) {
      volume.readAhead(request);
      request = request.next;
    }
  }

  private void onReady() {
    awaitsReady = false;
    serve();
  }

  /** Refuses what was not granted. */
  void refuseAll(int status) {
    grantedIndex = -1;
    refuse(asked, status);
    refuse(arrived, status);
  }

  /** Fails everything: the volume is gone, or the replica has stopped. */
  void failAll(int status) {
    refuseAll(status);
    if (stalled != null) {
      VolumeRequest request = stalled;
      stalled = null;
      store.complete(request, status);
    }
    refuse(granted, status);
  }

  private void refuse(RequestQueue queue, int status) {
    // Whoever is told may ask again: that is not in this queue's business any more.
    RequestQueue refused = new RequestQueue();
    while (!queue.isEmpty()) {
      refused.add(queue.poll());
    }
    while (!refused.isEmpty()) {
      store.complete(refused.poll(), status);
    }
  }
}
