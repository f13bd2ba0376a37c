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
  private static final int SEGMENT_BYTES = 32 << 20;
  private static final int WRITES = 4000;

  private final BlockingQueue<String> failures = new LinkedBlockingQueue<>();
  private final List<SocketNode> nodes = new ArrayList<>();
  private final Object news = new Object();
  private Engine engine;

  @TempDir private Path folder;

  private void start(int segmentBytes, long residentBytes) throws Exception {
    engine =
        Engine.start(
            3,
            16,
            0,
            (core, cause) -> failures.add("core " + core + ": " + cause),
            core -> new UringDriver(512));
    List<String> addresses = new ArrayList<>();
    for (int number = 1; number <= 3; number++) {
      SocketNode node = new SocketNode(number, engine, this::tell, failures::add);
      Path log = Files.createDirectory(folder.resolve("log-" + number));
      addresses.add(engine.callOn(number - 1, () -> node.open(log, segmentBytes, residentBytes)));
      nodes.add(node);
    }
    for (SocketNode node : nodes) {
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

  private List<String> newest(SocketNode node) throws Exception {
    return engine.callOn(node.number - 1, node::newest);
  }

  @Test
  void theyElectReplicateLoseAConnectionAndAgree() throws Exception {
    start(SEGMENT_BYTES, 2L * SEGMENT_BYTES);
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

    List<String> first = newest(nodes.get(0));
    assertThat(first).hasSize(WRITES + 100).noneMatch(text -> text.contains("damaged"));
    assertThat(newest(nodes.get(1))).isEqualTo(first);
    assertThat(newest(nodes.get(2))).isEqualTo(first);
  }
}
