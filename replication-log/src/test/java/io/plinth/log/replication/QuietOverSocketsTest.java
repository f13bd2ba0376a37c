package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.net.Engine;
import io.plinth.engine.uring.UringDriver;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * 1,000 idle groups of three replicas on three real cores over 127.0.0.1. {@code
 * -Dplinth.group.quiet=0} measures what they cost when they don't rest.
 */
@Timeout(120)
class QuietOverSocketsTest {
  private static final int GROUPS = 1000;
  private static final int QUIET_TICKS = Integer.getInteger("plinth.group.quiet", 50);
  private static final int WINDOW_SECONDS = 3;

  private final BlockingQueue<String> failures = new LinkedBlockingQueue<>();
  private final List<SocketNode> nodes = new ArrayList<>();
  private Engine engine;

  @TempDir private Path folder;

  @AfterEach
  void stop() throws Exception {
    for (SocketNode node : nodes) {
      boolean _ =
          on(
              node,
              () -> {
                node.stop();
                return true;
              });
    }
    for (SocketNode node : nodes) {
      int core = node.number - 1;
      while (engine.callOn(core, () -> engine.network(core).connectionCount()) > 0) {
        Thread.onSpinWait();
      }
    }
    engine.shutdown();
    nodes.forEach(SocketNode::free);
    assertThat(failures).isEmpty();
  }

  private <T> T on(SocketNode node, Callable<T> work) throws Exception {
    return engine.callOn(node.number - 1, work::call);
  }

  private void start() throws Exception {
    engine =
        Engine.start(
            3,
            16,
            0,
            (core, cause) -> failures.add("core " + core + ": " + cause),
            core -> new UringDriver(512));
    List<String> addresses = new ArrayList<>();
    for (int number = 1; number <= 3; number++) {
      SocketNode node = new SocketNode(number, engine, () -> {}, failures::add);
      Path log = Files.createDirectory(folder.resolve("log-" + number));
      addresses.add(on(node, () -> node.open(log, 64 << 20, 128L << 20)));
      nodes.add(node);
    }
    for (SocketNode node : nodes) {
      boolean _ =
          on(
              node,
              () -> {
                node.begin(addresses);
                node.addIdle(GROUPS, QUIET_TICKS);
                return true;
              });
    }
  }

  private boolean allRest() throws Exception {
    for (SocketNode node : nodes) {
      if (on(node, node::resting) < GROUPS) {
        return false;
      }
    }
    return true;
  }

  private List<List<Long>> terms() throws Exception {
    List<List<Long>> terms = new ArrayList<>();
    for (SocketNode node : nodes) {
      terms.add(on(node, node::terms));
    }
    return terms;
  }

  /** Returns how much the cores have run. */
  private long cpuNs() throws Exception {
    long sum = 0;
    for (SocketNode node : nodes) {
      sum += on(node, ManagementFactory.getThreadMXBean()::getCurrentThreadCpuTime);
    }
    return sum;
  }

  /** Lets so many seconds pass; nothing is waited for. */
  private void pass(int seconds) throws InterruptedException {
    assertThat(failures.poll(seconds, TimeUnit.SECONDS)).isNull();
  }

  @Test
  void aThousandIdleGroupsRestAndGoOnResting() throws Exception {
    start();
    // What the machine does besides may keep a core from running for so long that groups wake.
    boolean rested = false;
    for (int i = 0; i < 20 && !rested; i++) {
      pass(2);
      rested = QUIET_TICKS == 0 || allRest();
      List<List<Long>> before = terms();
      long cpuNs = cpuNs();
      pass(WINDOW_SECONDS);
      cpuNs = cpuNs() - cpuNs;
      rested &= QUIET_TICKS == 0 || (allRest() && terms().equals(before));
      System.out.printf(
          "%s: %d us of CPU per second for %d groups on three cores%n",
          rested ? "at rest" : "awake", cpuNs / 1000 / WINDOW_SECONDS, GROUPS);
    }
    assertThat(rested).isTrue();
  }
}
