package io.plinth.target.forward;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Timers;
import io.plinth.engine.memory.BufferPool;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.zip.CRC32C;
import org.agrona.collections.Int2ObjectHashMap;

/**
 * What one core needs to forward to the same core of other nodes: the links to them, the volumes
 * that may have to be forwarded, and the memory for requests on their way. All of it on that core's
 * thread.
 */
public final class ForwardClient implements CycleTask {
  static final int CHUNK_BYTES = 64 * 1024;

  /** The most requests on their way. */
  static final int MAX_REQUESTS = 1024;

  /** Two of the largest requests of each direction, or so many small ones. */
  private static final int CHUNKS = 1024;

  private static final long TICK_NS = TimeUnit.MILLISECONDS.toNanos(20);

  /** How often links, and volumes that have clients and no requests, are looked at. */
  private static final long SLOW_TICK_NS = TimeUnit.MILLISECONDS.toNanos(100);

  private final Core core;
  private final ForwardIdentity self;
  private final Dialler dialler;
  private final LongSupplier chance;
  private final Set<ForwardingBug> bugs;
  private final Int2ObjectHashMap<ForwardLink> linkByNode = new Int2ObjectHashMap<>();
  private final ArrayList<ForwardLink> links = new ArrayList<>();
  private final Int2ObjectHashMap<ForwardedVolume> volumes = new Int2ObjectHashMap<>();

  /** Volumes that have something to do, and those of the turn that is being taken. */
  private ArrayList<ForwardedVolume> active = new ArrayList<>();

  private ArrayList<ForwardedVolume> turn = new ArrayList<>();

  /** Volumes that were refused a request for want of memory. */
  private final ArrayDeque<ForwardedVolume> memoryWaiters = new ArrayDeque<>();

  private boolean freed;
  private final BufferPool payloads = new BufferPool(CHUNK_BYTES, CHUNKS);
  private final BufferPool data = new BufferPool(CHUNK_BYTES, CHUNKS);
  private final ForwardSlot[] slots = new ForwardSlot[MAX_REQUESTS];
  private int slotCount;
  private ForwardSlot freeSlot;
  private final ForwardFrame in = new ForwardFrame();
  private final ForwardFrame out = new ForwardFrame();
  private final CRC32C crc = new CRC32C();
  private final Timers.Task wake = this::onTimer;
  private boolean armed;
  private boolean ticked;

  /** How many volumes have clients; as long as there are some, cycles come at least every tick. */
  private int usedVolumes;

  private long lastCycleNs;

  private boolean stopped;
  private ForwardServer server;
  private long lastFence;

  /**
   * Creates the forwarder of a core.
   *
   * @param self this core
   * @param dialler makes connections from this core
   * @param chance any 64 bits, the same in each run of a simulation
   * @param bugs empty except in tests
   */
  public ForwardClient(
      Core core,
      ForwardIdentity self,
      Dialler dialler,
      LongSupplier chance,
      Set<ForwardingBug> bugs) {
    this.core = core;
    this.self = self;
    this.dialler = dialler;
    this.chance = chance;
    this.bugs = bugs;
  }

  /** Makes known who serves other nodes on this core. */
  void pairWith(ForwardServer same) {
    server = same;
  }

  /** Makes another node known, or that it is elsewhere: where the same core of it listens. */
  public void addPeer(int node, String address) {
    ForwardLink known = linkByNode.get(node);
    if (known != null) {
      known.moved(address);
      return;
    }
    ForwardLink link = new ForwardLink(this, node, address);
    links.add(link);
    ForwardLink _ = linkByNode.put(node, link);
  }

  /** Begins; on the core, after the log's own cycle tasks were added. */
  public void start() {
    core.addCycleTask(this);
  }

  /**
   * Adds a volume, which no replica of this node is known of yet: see {@link
   * ForwardedVolume#local}. On the core.
   *
   * @param group the number of its group
   * @param facts what the catalogue knows about it
   * @param members the numbers of the nodes that have replicas
   */
  public ForwardedVolume add(int group, ForwardedVolume.Facts facts, List<Integer> members) {
    ForwardedVolume volume = new ForwardedVolume(this, group, facts, members);
    ForwardedVolume _ = volumes.put(group, volume);
    return volume;
  }

  /** Returns the volume of a group, or null; on the core. */
  public ForwardedVolume volume(int group) {
    return volumes.get(group);
  }

  /** Ends a volume, because it was deleted: its clients are disconnected. On the core. */
  public void remove(ForwardedVolume volume) {
    ForwardedVolume _ = volumes.remove(volume.group());
    volume.close();
  }

  /** Ends all links, and with an error what is on its way; clients must be gone. On the core. */
  public void stop() {
    stopped = true;
    core.removeCycleTask(this);
    links.forEach(link -> link.close("this node stops"));
    List.copyOf(volumes.values()).forEach(this::remove);
  }

  /** Frees memory, once the core does nothing any more and all links are closed. */
  public void free() {
    payloads.close();
    data.close();
    in.close();
    out.close();
  }

  /** Returns whether the core has not run for so long that clients may have gone elsewhere. */
  boolean stoodStill(long nowNs) {
    return usedVolumes > 0 && nowNs - lastCycleNs > LeaderSearch.PATIENCE_NS;
  }

  @Override
  public int doWork(long nowNs) {
    int work = 0;
    if (stoodStill(nowNs)) {
      List.copyOf(volumes.values()).forEach(ForwardedVolume::onStoodStill);
    }
    lastCycleNs = nowNs;
    boolean connected = false;
    for (int i = 0; i < links.size(); i++) {
      work += links.get(i).work(nowNs);
      connected |= links.get(i).isUsed();
    }
    if (freed) {
      freed = false;
      // Who is refused again comes back to the end of the queue.
      for (int i = memoryWaiters.size(); i > 0; i--) {
        memoryWaiters.poll().onMemory();
        work++;
      }
    }
    if (ticked && usedVolumes > 0) {
      volumes.values().forEach(ForwardedVolume::tick);
    }
    ticked = false;
    ArrayList<ForwardedVolume> list = active;
    active = turn;
    turn = list;
    for (int i = 0; i < list.size(); i++) {
      work += list.get(i).work(nowNs);
    }
    list.clear();
    if (!armed && (connected || usedVolumes > 0 || !active.isEmpty())) {
      // So that an idle core looks at its links, and for leaders.
      armed = true;
      long pauseNs = active.isEmpty() ? SLOW_TICK_NS : TICK_NS;
      long _ = core.timers().schedule(nowNs + pauseNs, wake);
    }
    return work;
  }

  private void onTimer(long nowNs) {
    armed = false;
    ticked = true;
  }

  /** A volume has its first client, or has lost its last one. */
  void countUsed(int change) {
    if (usedVolumes == 0) {
      // Without clients the core may have rested.
      lastCycleNs = core.clock().nowNs();
    }
    usedVolumes += change;
  }

  /** Returns whether a volume's clients are known on the other side of a connection. */
  boolean isBound(ForwardChannel channel) {
    for (ForwardedVolume volume : volumes.values()) {
      if (volume.isBound(channel)) {
        return true;
      }
    }
    return false;
  }

  /** Lets a volume have its turn in this duty cycle or the next one. */
  void activate(ForwardedVolume volume) {
    active.add(volume);
  }

  // Links.

  ForwardLink link(int node) {
    return linkByNode.get(node);
  }

  void onBound(ForwardChannel channel, ForwardFrame frame) {
    ForwardedVolume volume = volumes.get(frame.group());
    if (volume != null) {
      volume.onBound(channel, frame);
    }
  }

  void onGone(ForwardChannel channel, ForwardFrame frame) {
    ForwardedVolume volume = volumes.get(frame.group());
    if (volume != null) {
      volume.onGone(channel, frame);
    }
  }

  /** A client of some node may have gone from here. */
  void onFence(int group) {
    ForwardedVolume volume = volumes.get(group);
    if (volume != null) {
      volume.lookAtClients();
    }
  }

  void onFenced(ForwardChannel channel, ForwardFrame frame) {
    ForwardedVolume volume = volumes.get(frame.group());
    if (volume != null) {
      volume.onFenced(channel, frame.id(), frame.status());
    }
  }

  /** Returns the number of another fence. */
  long nextFence() {
    return ++lastFence;
  }

  /** Returns whether clients can go to other nodes. */
  boolean hasPeers() {
    return !links.isEmpty();
  }

  /** Returns who serves other nodes on this core. */
  ForwardServer server() {
    return server;
  }

  /** A connection is gone: what was begun on it has an unknown outcome. */
  void onLost(ForwardChannel channel) {
    freed = true;
    for (ForwardedVolume volume : volumes.values()) {
      volume.onChannelLost(channel);
    }
    for (int i = 0; i < slotCount; i++) {
      ForwardSlot slot = slots[i];
      if (slot.channel == channel) {
        slot.volume.router().onLost(slot);
      }
    }
    // Lines are for volumes, not for requests.
    for (ForwardedVolume volume : volumes.values()) {
      volume.router().tellOfUnknown(channel);
    }
  }

  // Requests on their way.

  /** Returns a free slot, or null. */
  ForwardSlot acquireSlot() {
    ForwardSlot slot = freeSlot;
    if (slot != null) {
      freeSlot = slot.next;
      slot.next = null;
      return slot;
    }
    if (slotCount == MAX_REQUESTS) {
      return null;
    }
    slot = new ForwardSlot(this, slotCount);
    slots[slotCount++] = slot;
    return slot;
  }

  void releaseSlot(ForwardSlot slot) {
    slot.next = freeSlot;
    freeSlot = slot;
    freed = true;
  }

  /** Returns the slot that an answer names, or null. */
  ForwardSlot slot(long id) {
    int index = (int) (id & 0xFFFF);
    return index < slotCount && slots[index].id == id ? slots[index] : null;
  }

  void awaitMemory(ForwardedVolume volume) {
    memoryWaiters.add(volume);
  }

  void noteFreed() {
    freed = true;
  }

  BufferPool payloads() {
    return payloads;
  }

  BufferPool data() {
    return data;
  }

  CRC32C crc() {
    return crc;
  }

  ForwardFrame in() {
    return in;
  }

  ForwardFrame out() {
    return out;
  }

  Core core() {
    return core;
  }

  ForwardIdentity self() {
    return self;
  }

  Dialler dialler() {
    return dialler;
  }

  LongSupplier chance() {
    return chance;
  }

  boolean isStopped() {
    return stopped;
  }

  boolean isPlanted(ForwardingBug bug) {
    return bugs.contains(bug);
  }

  /** Returns how many requests are on their way; on the core. */
  public int requestCount() {
    int count = slotCount;
    for (ForwardSlot slot = freeSlot; slot != null; slot = slot.next) {
      count--;
    }
    return count;
  }

  /** Returns whether all memory for requests has come back; on the core. */
  public boolean isIdle() {
    return requestCount() == 0
        && payloads.available() == payloads.capacity()
        && data.available() == data.capacity();
  }
}
