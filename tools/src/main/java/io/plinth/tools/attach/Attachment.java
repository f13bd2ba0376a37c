package io.plinth.tools.attach;

import io.plinth.tools.attach.AttachException.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * One attached device: attaches it, and puts new connections in the place of lost ones until it is
 * detached. The kernel holds requests back meanwhile, for as long as the dead-connection timeout.
 * One thread calls {@link #attach} and {@link #run}; any other one may call {@link #stop}.
 */
public final class Attachment implements AutoCloseable {
  /** How long a stop may have to wait for the thread to look. */
  private static final long LOOK_MS = 200;

  /** How often the kernel is asked whether somebody else has detached the device. */
  private static final long ASK_NS = TimeUnit.SECONDS.toNanos(2);

  private static final long FIRST_PAUSE_MS = 100;
  private static final long LONGEST_PAUSE_MS = 2_000;

  /** A connection that holds for so long was a good one: the next loss is dialled at once. */
  private static final long GOOD_NS = TimeUnit.SECONDS.toNanos(5);

  /**
   * The kernel looks after its requests at this interval, and sends those again whose connection
   * was replaced meanwhile; by itself after 30 s only. To a request that is merely slow it does
   * nothing but say so in its log.
   */
  private static final long RETRY_MS = 2_000;

  private final NbdControl control;
  private final Dialler dialler;
  private final AttachSettings settings;
  private final LongSupplier clockNs;
  private final Consumer<AttachEvent> events;
  private final DeviceFiles files;
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile boolean stopping;
  private volatile AttachException failure;
  private Export export;
  private int connections;
  private long reconnectedNs;
  private long pauseMs;
  private String lastRefusal = "";
  private boolean connectionIsLost;
  private boolean detachedByOther;

  /** What is asked of the device's files. */
  interface DeviceFiles {
    /** Returns the volume that the device was attached to, or null. */
    String volume(int index);

    long sizeBytes(int index);

    boolean isInUse(int index);

    void flush(int index) throws AttachException;

    /** Sets how soon requests of a lost connection are sent again over a new one. */
    boolean setRetryMs(int index, long retryMs);
  }

  Attachment(
      NbdControl control,
      Dialler dialler,
      AttachSettings settings,
      LongSupplier clockNs,
      DeviceFiles files,
      Consumer<AttachEvent> events) {
    this.control = control;
    this.dialler = dialler;
    this.settings = settings;
    this.clockNs = clockNs;
    this.files = files;
    this.events = events;
  }

  /** Prepares an attachment to the running kernel; {@link #attach} does it. */
  public static Attachment open(AttachSettings settings, Consumer<AttachEvent> events)
      throws AttachException {
    DeviceFiles files =
        new DeviceFiles() {
          @Override
          public String volume(int index) {
            return BlockDevices.volume(index);
          }

          @Override
          public long sizeBytes(int index) {
            return BlockDevices.sizeBytes(index);
          }

          @Override
          public boolean isInUse(int index) {
            return BlockDevices.isInUse(index);
          }

          @Override
          public void flush(int index) throws AttachException {
            BlockDevices.flush(index);
          }

          @Override
          public boolean setRetryMs(int index, long retryMs) {
            return BlockDevices.setRetryMs(index, retryMs);
          }
        };
    return new Attachment(
        KernelNbd.open(), new SocketDialler(), settings, System::nanoTime, files, events);
  }

  /** Tries each server once and attaches the device, or takes over one that was left attached. */
  public void attach() throws AttachException {
    List<Link> links = new ArrayList<>();
    try {
      links.add(dialAnyServer());
      Link first = links.getFirst();
      Export offered = first.export();
      connections = allowed(offered);
      while (links.size() < connections) {
        links.add(dialler.dial(first.server(), settings.volume()));
      }
      String what;
      try {
        control.connect(settings.index(), offered, settings.deadTimeoutS(), links);
        export = offered;
        what = "attached";
      } catch (AttachException e) {
        export = takeOver(e, offered);
        control.reconfigure(settings.index(), export.name(), links);
        what = "took over";
      }
      if (!files.setRetryMs(settings.index(), RETRY_MS)) {
        event("slow_retry", "requests of a lost connection are sent again after 30 s only");
      }
      event("attached", what + " " + device() + ": " + describe(first, links.size()));
    } finally {
      links.forEach(Link::close);
    }
  }

  /** A device that --keep left attached to the same volume goes on with new connections. */
  private Export takeOver(AttachException busy, Export offered) throws AttachException {
    if (busy.kind() != Kind.BUSY || !offered.name().equals(files.volume(settings.index()))) {
      throw busy;
    }
    Export device =
        new Export(
            offered.name(),
            files.sizeBytes(settings.index()),
            offered.flags(),
            offered.minimumBlockBytes());
    String difference = device.differenceTo(offered);
    if (difference != null) {
      throw new AttachException(Kind.REFUSED, device() + " can't be taken over: " + difference);
    }
    return device;
  }

  private int allowed(Export offered) {
    if (settings.connections() > 1 && !offered.canMultiConn()) {
      event("one_connection", "the server allows one connection only");
      return 1;
    }
    return settings.connections();
  }

  private String describe(Link link, int connections) {
    String text =
        export.sizeBytes() + " bytes of volume \"" + export.name() + "\" at " + link.server();
    return text
        + (export.isReadOnly() ? ", read-only" : "")
        + (connections > 1 ? ", " + connections + " connections" : "");
  }

  private Link dialAnyServer() throws AttachException {
    AttachException last = null;
    StringBuilder reasons = new StringBuilder();
    for (String server : settings.servers()) {
      try {
        return dialler.dial(server, settings.volume());
      } catch (AttachException e) {
        reasons.append(reasons.isEmpty() ? "" : "; ").append(e.getMessage());
        // What a server says weighs more than that another one can't be reached.
        if (last == null || last.kind() == Kind.UNREACHABLE) {
          last = e;
        }
      }
    }
    if (last == null) {
      throw new AttachException(Kind.FAILED, "no server was named");
    }
    boolean silent = last.kind() == Kind.UNREACHABLE;
    throw new AttachException(
        last.kind(), (silent ? "no server can be reached: " : "") + reasons, last);
  }

  /**
   * Keeps the device connected. Returns when it was detached, by {@link #stop} or by somebody else.
   *
   * @throws AttachException when no connection could be had for as long as requests wait, and the
   *     device was detached; or when it was left attached at a stop because it is in use
   */
  public void run() throws AttachException {
    try {
      long askedNs = clockNs.getAsLong();
      while (!stopping) {
        int lost = control.awaitDeadLinks(settings.index(), LOOK_MS);
        if (lost != 0 && !stopping) {
          reconnect(lost);
        }
        if (clockNs.getAsLong() - askedNs >= ASK_NS) {
          askedNs = clockNs.getAsLong();
          if (isDetached()) {
            return;
          }
        }
      }
      leave();
    } catch (AttachException e) {
      failure = e;
      throw e;
    } finally {
      ended.countDown();
    }
  }

  private boolean isDetached() throws AttachException {
    boolean detached = !control.attached().contains(settings.index());
    if (detached) {
      event("detached", "detached " + device() + ": another program has asked for it");
    }
    return detached;
  }

  private void reconnect(int lost) throws AttachException {
    final long lostNs = clockNs.getAsLong();
    if (isDetached()) {
      stopping = true;
      detachedByOther = true;
      return;
    }
    event("connection_lost", "connection lost: " + device());
    if (lostNs - reconnectedNs > GOOD_NS) {
      pauseMs = 0;
    }
    long deadNs = lostNs;
    long waitMs = pauseMs;
    int missing = lost == NbdControl.UNKNOWN ? connections : Math.min(lost, connections);
    while (missing > 0) {
      missing = Math.min(missing + pause(waitMs), connections);
      if (stopping) {
        // The kernel fails what waits for a connection when it is told to detach.
        connectionIsLost = true;
        return;
      }
      // As long as one connection is left, requests do not wait.
      if (missing < connections) {
        deadNs = clockNs.getAsLong();
      } else if (clockNs.getAsLong() - deadNs > TimeUnit.SECONDS.toNanos(settings.deadTimeoutS())) {
        giveUp();
      }
      try (Link link = dialSameVolume()) {
        if (link == null) {
          waitMs = longer(waitMs);
          continue;
        }
        control.reconfigure(settings.index(), export.name(), List.of(link));
        missing--;
        waitMs = 0;
        if (missing == 0) {
          tellReconnected(link, lostNs);
        }
      }
    }
    pauseMs = longer(pauseMs);
  }

  private static long longer(long pauseMs) {
    return Math.clamp(pauseMs * 2, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  }

  private void tellReconnected(Link link, long lostNs) {
    reconnectedNs = clockNs.getAsLong();
    lastRefusal = "";
    double seconds = (reconnectedNs - lostNs) / 1e9;
    event(
        "reconnected",
        String.format(
            Locale.ROOT, "reconnected after %.1f s: %s to %s", seconds, device(), link.server()));
  }

  /** Waits before the next round; returns how many more connections were lost meanwhile. */
  private int pause(long pauseMs) throws AttachException {
    int lost = 0;
    long untilNs = clockNs.getAsLong() + TimeUnit.MILLISECONDS.toNanos(pauseMs);
    for (long leftNs = untilNs - clockNs.getAsLong(); leftNs > 0 && !stopping; ) {
      long leftMs = Math.min(LOOK_MS, TimeUnit.NANOSECONDS.toMillis(leftNs) + 1);
      lost += Math.max(0, control.awaitDeadLinks(settings.index(), leftMs));
      leftNs = untilNs - clockNs.getAsLong();
    }
    return lost;
  }

  /** Tries each server once; returns null when none has the volume that the device shows. */
  private Link dialSameVolume() {
    for (String server : settings.servers()) {
      String refusal;
      try {
        Link link = dialler.dial(server, settings.volume());
        String difference = export.differenceTo(link.export());
        if (difference == null) {
          return link;
        }
        link.close();
        refusal = server + " is refused: " + difference;
      } catch (AttachException e) {
        refusal = e.kind() == Kind.UNREACHABLE ? "" : e.getMessage();
      }
      // Said once, not at each round.
      if (!refusal.isEmpty() && !refusal.equals(lastRefusal)) {
        lastRefusal = refusal;
        event("refused", refusal);
      }
    }
    return null;
  }

  private void giveUp() throws AttachException {
    control.disconnect(settings.index());
    throw new AttachException(
        Kind.LOST,
        "detached "
            + device()
            + ": no connection for "
            + settings.deadTimeoutS()
            + " s"
            + (lastRefusal.isEmpty() ? "" : "; " + lastRefusal));
  }

  /** Detaches, unless that is not wanted or would take the device away from who uses it. */
  private void leave() throws AttachException {
    if (detachedByOther) {
      return;
    }
    if (settings.keep()) {
      event("kept", "left attached: " + device());
      return;
    }
    if (files.isInUse(settings.index())) {
      throw new AttachException(
          Kind.BUSY,
          device()
              + " is in use and stays attached: unmount it, then `plinth detach "
              + device()
              + "`");
    }
    if (!connectionIsLost) {
      files.flush(settings.index());
    }
    control.disconnect(settings.index());
    event(
        "detached",
        "detached " + device() + (connectionIsLost ? " while its connection was lost" : ""));
  }

  /**
   * Makes {@link #run} detach and return, and waits for that.
   *
   * @throws IllegalStateException when it did not detach
   */
  public void stop() {
    stopping = true;
    try {
      if (!ended.await(30, TimeUnit.SECONDS)) {
        throw new IllegalStateException(device() + " does not become free");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (failure != null) {
      throw new IllegalStateException(failure.getMessage(), failure);
    }
  }

  private String device() {
    return BlockDevices.name(settings.index());
  }

  private void event(String name, String message) {
    events.accept(new AttachEvent(name, message));
  }

  @Override
  public void close() {
    control.close();
  }
}
