package io.plinth.target.volume;

import io.plinth.log.wire.ResyncFrame;
import java.util.ArrayList;
import java.util.List;

/**
 * Comparisons of the replicas of the volumes of one log: what this node's replicas hold as of an
 * entry, and, where they lead, what the others say to that.
 *
 * <p>An entry VERIFY lets every member freeze its trees as it is applied, so all of them are
 * compared as of the same entry, while clients write. The trees are in memory only: a start forgets
 * them, nobody sees them, and they go when nobody has asked about them for 15 s.
 */
public final class Verifies {
  private final VolumeStore store;
  private final List<VerifyHash> hashes = new ArrayList<>();
  private final List<VerifyLead> leads = new ArrayList<>();

  Verifies(VolumeStore store) {
    this.store = store;
  }

  /**
   * Begins to compare the replicas of a volume that this node leads, unless that is at work; on the
   * core.
   */
  public void start(LogVolume volume) {
    VolumeGroup group = volume.group();
    VerifyLead known = lead(group);
    if (known != null && known.isRunning()) {
      return;
    }
    boolean _ = leads.remove(known);
    VerifyLead lead = new VerifyLead(this, store, group);
    leads.add(lead);
    store.freeze(volume, status -> lead.onFrozen(status, hash(group)));
  }

  /** Returns how the newest comparison stands, or null; on the core. */
  public VerifyReport report(LogVolume volume) {
    VerifyLead lead = lead(volume.group());
    return lead == null ? null : lead.report();
  }

  /** Returns how many replicas are frozen. */
  public int frozen() {
    return hashes.size();
  }

  private VerifyLead lead(VolumeGroup group) {
    for (VerifyLead lead : leads) {
      if (lead.group().equals(group)) {
        return lead;
      }
    }
    return null;
  }

  private VerifyHash hash(VolumeGroup group) {
    for (VerifyHash hash : hashes) {
      if (hash.isOf(group)) {
        return hash;
      }
    }
    return null;
  }

  /** An entry VERIFY is applied; what was frozen before is given up. */
  void freeze(VolumeGroup group, long entry) {
    dropHash(group);
    hashes.add(new VerifyHash(store, group, entry));
  }

  private void dropHash(VolumeGroup group) {
    for (int i = hashes.size() - 1; i >= 0; i--) {
      if (hashes.get(i).isOf(group)) {
        hashes.remove(i).close();
      }
    }
  }

  /** A volume is gone. */
  void onGone(VolumeGroup group) {
    dropHash(group);
    leads.removeIf(lead -> lead.group().equals(group));
  }

  void onFrame(VolumeGroup group, int node, ResyncFrame frame) {
    long nowNs = store.core().clock().nowNs();
    switch (frame.kind()) {
      case ResyncStep.HASH -> onAsked(group, node, frame, nowNs);
      case ResyncStep.VERIFIED -> {
        VerifyHash hash = hash(group);
        if (hash != null && hash.entry() == frame.session()) {
          dropHash(group);
        }
      }
      case ResyncStep.HASHES, ResyncStep.UNFROZEN -> {
        VerifyLead lead = lead(group);
        if (lead != null) {
          lead.onFrame(node, frame, nowNs);
        }
      }
      default -> {
        // Of a newer version: not answered, which its sender understands.
      }
    }
  }

  private void onAsked(VolumeGroup group, int node, ResyncFrame frame, long nowNs) {
    VerifyHash hash = hash(group);
    if (hash != null && hash.entry() == frame.session()) {
      hash.ask(frame.leaf(), frame.tree(), nowNs);
      return;
    }
    boolean comes = group.appliedIndex() < frame.session();
    long leaf = frame.leaf();
    int tree = frame.tree();
    ResyncFrame out = store.resyncs().begin(ResyncStep.UNFROZEN, frame.session()).bytes(0);
    boolean _ = send(group, node, out.leaf(leaf).tree(tree).a(comes ? 1 : 0));
  }

  /** Sends to a member, which may be this node. */
  boolean send(VolumeGroup group, int node, ResyncFrame frame) {
    if (node == store.groups().self()) {
      onFrame(group, node, frame);
      return true;
    }
    return group.replica().sendResync(node, frame);
  }

  /** Does a bounded amount; returns how much. */
  int doWork(long nowNs, boolean busy) {
    int done = 0;
    for (int i = 0; i < leads.size(); i++) {
      done += leads.get(i).work(nowNs);
    }
    for (int i = hashes.size() - 1; i >= 0; i--) {
      VerifyHash hash = hashes.get(i);
      if (hash.isForgotten(nowNs)) {
        hashes.remove(i).close();
        done++;
        continue;
      }
      done += hash.work(nowNs, busy);
      if (hash.hasAnswer(nowNs) && answer(hash)) {
        hash.noteAnswered();
        done++;
      }
    }
    return done;
  }

  /** Whoever leads now has asked. */
  private boolean answer(VerifyHash hash) {
    VolumeGroup group = hash.group();
    int leader = group.leads() ? store.groups().self() : group.leader();
    ResyncFrame out = store.resyncs().begin(ResyncStep.HASHES, hash.entry());
    return leader >= 0 && send(group, leader, hash.answer(out));
  }

  void close() {
    hashes.forEach(VerifyHash::close);
    hashes.clear();
    leads.clear();
  }
}
