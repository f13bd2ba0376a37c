package io.plinth.engine.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BufferPoolTest {
  private static final int BUFFER_BYTES = 8192;
  private final BufferPool pool = new BufferPool(BUFFER_BYTES, 4);
  private final List<String> told = new ArrayList<>();

  @AfterEach
  void close() {
    pool.close();
  }

  @Test
  void buffersAreAlignedAndDoNotOverlap() {
    Set<Long> addresses = new HashSet<>();
    for (int i = 0; i < 4; i++) {
      long address = pool.acquire();
      assertThat((address - pool.memory().address()) % BUFFER_BYTES).isZero();
      assertThat(address % 4096).isZero();
      addresses.add(address);
    }

    assertThat(addresses).hasSize(4);
    assertThat(pool.acquire()).as("from an empty pool").isZero();
  }

  @Test
  void theBufferReleasedLastIsHandedOutFirst() {
    long first = pool.acquire();
    long second = pool.acquire();
    pool.release(second);
    pool.release(first);

    assertThat(pool.acquire()).isEqualTo(first);
    assertThat(pool.acquire()).isEqualTo(second);
  }

  @Test
  void severalBuffersAreAcquiredAllOrNone() {
    long[] four = new long[4];
    long one = pool.acquire();

    assertThat(pool.acquire(4, four)).isFalse();
    assertThat(four).containsOnly(0);
    assertThat(pool.available()).isEqualTo(3);
    pool.release(one);
    assertThat(pool.acquire(4, four)).isTrue();

    assertThat(four).doesNotContain(0).doesNotHaveDuplicates();
    assertThat(pool.available()).isZero();
  }

  @Test
  void waitersAreServedInTheOrderOfAsking() {
    long[] all = new long[4];
    pool.acquire(4, all);
    pool.awaitAvailable(3, () -> told.add("three" + pool.acquire(3, new long[3])));
    pool.awaitAvailable(1, () -> told.add("one" + (pool.acquire() != 0)));

    pool.release(all[0]);
    assertThat(told).as("the small wish does not overtake the large one").isEmpty();
    assertThat(pool.acquire()).as("nor does somebody new").isZero();
    pool.release(all[1]);
    pool.release(all[2]);
    assertThat(told).containsExactly("threetrue");
    pool.release(all[3]);

    assertThat(told).containsExactly("threetrue", "onetrue");
  }

  @Test
  void aWaiterThatTakesNothingKeepsTheOthersWaitingUntilTheNextRelease() {
    long[] all = new long[4];
    pool.acquire(4, all);
    pool.awaitAvailable(1, () -> told.add("idle"));
    pool.awaitAvailable(1, () -> told.add("next" + (pool.acquire() != 0)));

    pool.release(all[0]);
    assertThat(told).containsExactly("idle");
    pool.release(all[1]);

    assertThat(told).containsExactly("idle", "nexttrue");
  }

  @Test
  void aCancelledWaiterIsNotTold() {
    long[] all = new long[4];
    pool.acquire(4, all);
    BufferPool.Waiter waiter = () -> told.add("cancelled");
    pool.awaitAvailable(1, waiter);
    pool.cancelWait(waiter);

    pool.release(all[0]);

    assertThat(told).isEmpty();
    assertThat(pool.acquire()).isNotZero();
  }

  @Test
  void aWishBeyondThePoolIsRefused() {
    assertThatThrownBy(() -> pool.awaitAvailable(5, () -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("waiting for 5 of 4 buffers");
  }

  @Test
  void aSecondReleaseIsRefused() {
    long address = pool.acquire();
    pool.release(address);

    assertThatThrownBy(() -> pool.release(address))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("not a lent buffer");
    assertThat(pool.available()).isEqualTo(4);
  }

  @Test
  void anAddressThatIsNoBufferIsRefused() {
    long address = pool.acquire();

    for (long wrong :
        new long[] {0, address + 1, address + 4096, address - 4L * BUFFER_BYTES, -1}) {
      assertThatThrownBy(() -> pool.release(wrong)).isInstanceOf(IllegalStateException.class);
    }
    pool.release(address);
  }

  @Test
  void badSizesAreRefused() {
    assertThatThrownBy(() -> new BufferPool(1000, 4)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BufferPool(0, 4)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BufferPool(4096, 0)).isInstanceOf(IllegalArgumentException.class);
  }
}
