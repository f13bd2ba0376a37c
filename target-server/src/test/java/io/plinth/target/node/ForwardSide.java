package io.plinth.target.node;

import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.forward.ForwardClient;
import io.plinth.target.forward.ForwardIdentity;
import io.plinth.target.forward.ForwardServer;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.VolumeSettings;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.function.IntFunction;

/** What a simulated node forwards with, and serves what others forward. */
final class ForwardSide {
  private static final UUID CLUSTER = new UUID(77, 79);

  final ForwardServer server;
  final ForwardClient client;

  ForwardSide(
      int number,
      long incarnation,
      SimCore core,
      SimHost host,
      SimRandom random,
      Set<ForwardingBug> bugs,
      IntFunction<LogVolume> volumes) {
    ForwardIdentity self = new ForwardIdentity(CLUSTER, number, 0, incarnation);
    SplittableRandom chance = new SplittableRandom(random.nextLong());
    server = new ForwardServer(core, self, volumes);
    client = new ForwardClient(core, self, host, chance::nextLong, bugs);
    server.pairWith(client);
    for (int node = 1; node <= StoreNode.NODES; node++) {
      if (node != number) {
        client.addPeer(node, "node-" + node);
      }
    }
  }

  /** Begins to forward to volumes 1 to {@code count}, of which some may be here. */
  void start(int count, IntFunction<LogVolume> volumes) {
    server.start();
    client.start();
    for (int group = 1; group <= count; group++) {
      ForwardedVolume facade = client.add(group, new Facts("v" + group), List.of(1, 2, 3));
      facade.local(volumes.apply(group));
    }
  }

  /** Frees memory when the core has died. */
  void free() {
    server.free();
    client.free();
  }

  private record Facts(String name) implements ForwardedVolume.Facts {
    @Override
    public long sizeBytes() {
      return StoreNode.VOLUME_BYTES;
    }

    @Override
    public VolumeSettings settings() {
      return VolumeSettings.DEFAULT;
    }
  }
}
