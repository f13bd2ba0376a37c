package io.plinth.engine.net;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import java.util.concurrent.BlockingQueue;
import java.util.function.BooleanSupplier;

class SimDiallerContractTest extends DiallerContractTest {
  private static final long STEP_NS = 20_000;
  private static final int LIMIT = 1_000_000;

  private final SimNetwork network = new SimNetwork(new SimRandom(3));
  private final SimCore near = new SimCore(0, 0);
  private final SimCore far = new SimCore(0, 0);
  private final SimHost nearHost = network.attach(1, near);
  private final SimHost farHost = network.attach(2, far);

  private void stepUntil(BooleanSupplier condition) {
    for (int i = 0; i < LIMIT && !condition.getAsBoolean(); i++) {
      network.advance(STEP_NS);
      near.cycle(STEP_NS);
      far.cycle(STEP_NS);
    }
  }

  @Override
  protected World start() {
    return new World() {
      @Override
      public Dialler dialler() {
        return nearHost;
      }

      @Override
      public void run(Runnable work) {
        boolean[] done = new boolean[1];
        boolean _ =
            near.execute(() -> {
              work.run();
              done[0] = true;
            });
        stepUntil(() -> done[0]);
      }

      @Override
      public String listen(Acceptor acceptor) {
        return farHost.listen("server", acceptor).address();
      }

      @Override
      public String nobody() {
        return "nobody";
      }

      @Override
      public String silent() {
        network.block(2, 1);
        return farHost.listen("silent", connection -> null).address();
      }

      @Override
      public String take(BlockingQueue<String> queue) {
        stepUntil(() -> !queue.isEmpty());
        return queue.poll();
      }

      @Override
      public int connectionCount() {
        // Whoever asks again and again waits for something to happen.
        int count = nearHost.connectionCount();
        near.cycle(0);
        return count;
      }

      @Override
      public void closeAll() {
        nearHost.closeAll();
      }

      @Override
      public long nowNs() {
        return network.nowNs();
      }

      @Override
      public void shutdown() {}
    };
  }
}
