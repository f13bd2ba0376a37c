package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.net.Engine;
import io.plinth.engine.uring.UringDriver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Three replicas on three real cores, with real files, over 127.0.0.1. */
@Timeout(120)
class ReplicasOverSocketsTest {
  private static final long LIMIT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final int SEGMENT_BYTES = 64 << 20;
  private static final int SMALL_SEGMENT_BYTES = 8 << 20;
  private static final int WRITES = 4000;

  private final BlockingQueue<String> failures = new LinkedBlockingQueue<>();
  private final List<SocketNode> nodes = new ArrayList<>();
  private final Object news = new Object();
  private final List<String> addresses = new ArrayList<>();
  private Engine engine;

  @TempDir private Path folder;

  private void start(int segmentBytes, int begun) throws Exception {
    engine =
        Engine.start(
            3,
            16,
            0,
            (core, cause) -> failures.add("core " + core + ": " + cause),
            core -> new UringDriver(512));
    for (int number = 1; number <= 3; number++) {
      SocketNode node = new SocketNode(number, engine, this::tell, failures::add);
      Path log = Files.createDirectory(folder.resolve("log-" + number));
      addresses.add(
          engine.callOn(number - 1, () -> node.open(log, segmentBytes, 2L * segmentBytes)));
      nodes.add(node);
    }
    for (SocketNode node : nodes.subList(0, begun)) {
      run(node, () -> node.begin(addresses));
    }
  }

  @AfterEach
  void stop() throws Exception {
    for (SocketNode node : nodes) {
      run(node, node::stop);
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

  private void run(SocketNode node, Runnable work) throws Exception {
    boolean _ =
        engine.callOn(
            node.number - 1,
            () -> {
              work.run();
              return true;
            });
  }

  private void tell() {
    synchronized (news) {
      news.notifyAll();
    }
  }

  private void await(String what, BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + LIMIT_NS;
    synchronized (news) {
      while (!condition.getAsBoolean()) {
        assertThat(failures).isEmpty();
        assertThat(System.nanoTime()).as(what).isLessThan(end);
        news.wait(100);
      }
    }
  }

  private boolean allHave(long index) {
    return nodes.stream().allMatch(node -> node.committed >= index);
  }

  private SocketNode leader() {
    return nodes.stream().filter(node -> node.leads).findAny().orElse(null);
  }

  private void assertThatAllHoldTheSame(int entries) throws Exception {
    List<String> first = engine.callOn(0, () -> nodes.get(0).content(entries));
    assertThat(first).hasSize(entries).noneMatch(text -> text.contains("damaged"));
    for (SocketNode node : nodes.subList(1, 3)) {
      List<String> other = engine.callOn(node.number - 1, () -> node.content(entries));
      for (int i = 0; i < entries; i++) {
        assertThat(other.get(i)).as("node %d", node.number).isEqualTo(first.get(i));
      }
      assertThat(other).hasSize(entries);
    }
  }

  @Test
  void theyElectReplicateLoseAConnectionAndAgree() throws Exception {
    start(SEGMENT_BYTES, 3);
    await("a leader", () -> leader() != null);
    nodes.forEach(node -> node.want(WRITES));
    await("half of the writes", () -> nodes.stream().anyMatch(n -> n.committed >= WRITES / 2));

    // One of its two connections, whoever made it: node 2 has accepted one from node 1 only.
    SocketNode victim = nodes.get(nodes.get(2).leads ? 2 : 1);
    int before = victim.acceptedCount;
    run(victim, () -> victim.accepted.get(before - 1).close());
    await("a new connection", () -> victim.acceptedCount > before);
    nodes.forEach(node -> node.want(WRITES + 100));
    await("all writes everywhere", () -> allHave(WRITES + 100));

    assertThatAllHoldTheSame(WRITES + 100);
  }

  /** Two are a majority; what the third one lacks is on their disks when it comes. */
  @Test
  void whoComesLateGetsWhatHasLeftMemory() throws Exception {
    start(SMALL_SEGMENT_BYTES, 2);
    nodes.forEach(node -> node.want(2 * WRITES));
    await(
        "the writes", () -> nodes.subList(0, 2).stream().allMatch(n -> n.committed == 2 * WRITES));
    SocketNode leader = leader();
    assertThat(engine.callOn(leader.number - 1, () -> leader.isInMemory(2))).isFalse();

    nodes.forEach(node -> node.want(2 * WRITES + 100));
    run(nodes.get(2), () -> nodes.get(2).begin(addresses));
    await("all writes everywhere", () -> allHave(2 * WRITES + 100));

    long read = 0;
    for (SocketNode node : nodes) {
      read += engine.callOn(node.number - 1, () -> node.replicator.entriesFromDisk());
      long damaged = engine.callOn(node.number - 1, () -> node.replicator.damagedEntries());
      assertThat(damaged).isZero();
    }
    assertThat(read).isPositive();
    assertThatAllHoldTheSame(2 * WRITES + 100);
  }
}
