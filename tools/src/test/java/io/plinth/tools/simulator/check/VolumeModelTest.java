package io.plinth.tools.simulator.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.tools.simulator.check.Change.Kind;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** What the model of a volume accepts, and that it refuses everything else. */
class VolumeModelTest {
  private static final int SECTORS = 19;

  private final DamagedBlocks damaged = new DamagedBlocks();
  private final VolumeModel model = new VolumeModel("v", SECTORS, damaged);
  private long nextVersion = 1;

  @Test
  void aReadReturnsWhatWasAcknowledged() {
    acknowledged(Kind.WRITE, 0, 4);
    model.endRead(model.beginRead(0, 5), new long[] {1, 1, 1, 1, 0});
    PendingRead stale = model.beginRead(0, 1);
    broken(Guarantee.G1, () -> model.endRead(stale, new long[] {0}));
  }

  @Test
  void aReadMayReturnWhatIsConcurrentWithIt() {
    acknowledged(Kind.WRITE, 0, 1);
    Change during = begin(Kind.WRITE, 0, 1);
    PendingRead first = model.beginRead(0, 1);
    PendingRead second = model.beginRead(0, 1);
    model.endRead(first, new long[] {1});
    model.acknowledge(during);
    acknowledged(Kind.ZERO, 0, 1);
    model.endRead(second, new long[] {2});
    PendingRead third = model.beginRead(0, 1);
    broken(Guarantee.G1, () -> model.endRead(third, new long[] {2}));
  }

  @Test
  void aKillTakesNothingThatWasAcknowledged() {
    acknowledged(Kind.WRITE, 0, 8);
    begin(Kind.WRITE, 8, 8);
    model.crashed();
    broken(Guarantee.G3, () -> recovered(false, found(0, 0)));
    recovered(false, found(1, 2));
    // It was found there: from now on it is as good as acknowledged.
    model.crashed();
    broken(Guarantee.G3, () -> recovered(false, found(1, 0)));
  }

  @Test
  void aPowerCutTakesWhatWasNotFlushed() {
    acknowledged(Kind.WRITE, 0, 8);
    VolumeModel.Flush flush = model.beginFlush();
    acknowledged(Kind.WRITE, 0, 8);
    model.endFlush(flush);
    model.crashed();
    broken(Guarantee.G2, () -> recovered(true, found(0, 0)));
    recovered(true, found(1, 0));
    // What is there after a power cut is on the disk.
    model.crashed();
    broken(Guarantee.G2, () -> recovered(true, found(2, 0)));
  }

  @Test
  void aDurableChangeNeedsNoFlush() {
    model.acknowledge(model.beginChange(Kind.WRITE, 0, 8, nextVersion++, true));
    model.crashed();
    broken(Guarantee.G2, () -> recovered(true, found(0, 0)));
  }

  @Test
  void aRequestIsThereAsAWholeOrNotAtAll() {
    acknowledged(Kind.WRITE, 0, 16);
    acknowledged(Kind.WRITE, 0, 16);
    acknowledged(Kind.WRITE, 4, 4);
    model.crashed();
    broken(Guarantee.G4, () -> recovered(true, found(2, 1)));
    long[] overwritten = found(2, 2);
    java.util.Arrays.fill(overwritten, 4, 8, 3);
    recovered(true, overwritten);
  }

  @Test
  void zeroingIsAtomicAndTrimmingIsNot() {
    acknowledged(Kind.WRITE, 0, 16);
    model.endFlush(model.beginFlush());
    Change zero = begin(Kind.ZERO, 0, 16);
    model.crashed();
    broken(Guarantee.G4, () -> recovered(false, found(0, 1)));
    assertThat(model.mayFail(zero)).isFalse();
    recovered(false, found(1, 1));
    begin(Kind.TRIM, 0, 16);
    model.crashed();
    recovered(false, found(0, 1));
  }

  @Test
  void trimmingLeavesPartsOfBlocksButTakesTheEndOfTheVolume() {
    acknowledged(Kind.WRITE, 0, SECTORS);
    acknowledged(Kind.TRIM, 3, SECTORS - 3);
    long[] expected = found(1, 0);
    model.endRead(model.beginRead(0, SECTORS), expected);
    acknowledged(Kind.TRIM, 1, 6);
    model.endRead(model.beginRead(0, SECTORS), expected);
  }

  @Test
  void onlyDamagedBlocksMayFail() {
    acknowledged(Kind.WRITE, 0, 16);
    damaged.add(1, block(1));
    model.failRead(model.beginRead(7, 2));
    PendingRead other = model.beginRead(0, 8);
    broken(Guarantee.G5, () -> model.failRead(other));
    assertThat(model.mayFail(begin(Kind.WRITE, 7, 2))).as("merges with a damaged block").isTrue();
  }

  @Test
  void damageOfWhatAVolumeDoesNotHoldExcusesNothing() {
    acknowledged(Kind.WRITE, 0, 8);
    damaged.add(0, block(2));
    damaged.add(1, block(1));
    PendingRead read = model.beginRead(0, 8);
    broken(Guarantee.G5, () -> model.failRead(read));
    assertThat(model.mayFail(begin(Kind.WRITE, 0, 2))).isFalse();
  }

  @Test
  void aReadMayMeetTheDamageOfWhatIsWrittenOverMeanwhile() {
    acknowledged(Kind.WRITE, 0, 8);
    PendingRead read = model.beginRead(4, 8);
    damaged.add(0, block(1));
    acknowledged(Kind.WRITE, 0, 8);
    model.failRead(read);
  }

  @Test
  void writingHealsABlockUntilAPowerCutBringsItsDamagedVersionBack() {
    acknowledged(Kind.WRITE, 0, 8);
    model.endFlush(model.beginFlush());
    damaged.add(0, block(1));
    acknowledged(Kind.WRITE, 0, 8);
    PendingRead healed = model.beginRead(0, 8);
    broken(Guarantee.G5, () -> model.failRead(healed));
    model.crashed();
    model.recovered(true, found(0, 0), new boolean[] {true, false, false});
    model.failRead(model.beginRead(0, 8));
    acknowledged(Kind.WRITE, 0, 8);
    model.endFlush(model.beginFlush());
    model.crashed();
    broken(
        Guarantee.G5, () -> model.recovered(true, found(3, 0), new boolean[] {true, false, false}));
  }

  @Test
  void aRefusedChangeHasNoEffect() {
    acknowledged(Kind.WRITE, 0, 8);
    model.refuse(begin(Kind.WRITE, 0, 8));
    PendingRead read = model.beginRead(0, 1);
    broken(Guarantee.G1, () -> model.endRead(read, new long[] {2}));
  }

  @Test
  void aChangeThatIsLeftOpenMayHaveAnEffect() {
    acknowledged(Kind.WRITE, 0, 8);
    model.leaveOpen(begin(Kind.WRITE, 0, 8));
    model.endRead(model.beginRead(0, 1), new long[] {2});
    model.endRead(model.beginRead(0, 1), new long[] {1});
  }

  @Test
  void aCopyHasWhatWasAcknowledgedBeforeIt() {
    acknowledged(Kind.WRITE, 0, 8);
    acknowledged(Kind.WRITE, 0, 8);
    VolumeModel copy = model.beginCopy("copy");
    model.endCopy(copy);
    broken(Guarantee.SNAPSHOT, () -> copy.copied(found(1, 0), new boolean[3]));
    copy.copied(found(2, 0), new boolean[3]);
    acknowledged(Kind.WRITE, 0, 8);
    PendingRead stale = copy.beginRead(0, 1);
    broken(Guarantee.G1, () -> copy.endRead(stale, new long[] {3}));
  }

  @Test
  void aCopyMayHaveWhatIsConcurrentWithItAndThenDoesNotChange() {
    acknowledged(Kind.WRITE, 0, 16);
    Change before = begin(Kind.WRITE, 0, 16);
    VolumeModel copy = model.beginCopy("copy");
    model.acknowledge(before);
    acknowledged(Kind.WRITE, 8, 8);
    model.endCopy(copy);
    assertThat(copy.isAmbiguous(0, 8)).isTrue();
    broken(Guarantee.G4, () -> copy.copied(found(2, 1), new boolean[3]));
    copy.copied(found(2, 3), new boolean[3]);
    assertThat(copy.isAmbiguous(0, SECTORS)).isFalse();
    PendingRead other = copy.beginRead(8, 1);
    broken(Guarantee.G1, () -> copy.endRead(other, new long[] {2}));
  }

  @Test
  void aCopyHasNothingThatWasRefusedOrBeganLater() {
    acknowledged(Kind.WRITE, 0, 8);
    VolumeModel copy = model.beginCopy("copy");
    model.refuse(begin(Kind.WRITE, 0, 8));
    model.endCopy(copy);
    acknowledged(Kind.WRITE, 8, 8);
    broken(Guarantee.SNAPSHOT, () -> copy.copied(found(2, 0), new boolean[3]));
    broken(Guarantee.SNAPSHOT, () -> copy.copied(found(1, 3), new boolean[3]));
    copy.copied(found(1, 0), new boolean[3]);
  }

  @Test
  void aCopySharesTheDamageOfWhatItHolds() {
    acknowledged(Kind.WRITE, 0, 8);
    VolumeModel copy = model.beginCopy("copy");
    model.endCopy(copy);
    copy.copied(found(1, 0), new boolean[3]);
    damaged.add(0, block(1));
    acknowledged(Kind.WRITE, 0, 8);
    copy.failRead(copy.beginRead(0, 1));
    PendingRead written = model.beginRead(0, 1);
    broken(Guarantee.G5, () -> model.failRead(written));
  }

  @Test
  void aSmallerModelForgetsWhatIsCutOffAndALargerOneReadsAsZeroes() {
    acknowledged(Kind.WRITE, 0, 16);
    VolumeModel grown = model.resized("v", 8).resized("v", SECTORS);
    grown.recovered(false, found(1, 0), new boolean[3]);
    PendingRead stale = grown.beginRead(8, 1);
    broken(Guarantee.G1, () -> grown.endRead(stale, new long[] {1}));
  }

  private Change begin(Kind kind, int first, int count) {
    return model.beginChange(kind, first, count, nextVersion++, false);
  }

  private void acknowledged(Kind kind, int first, int count) {
    model.acknowledge(begin(kind, first, count));
  }

  private static long[] block(long stamp) {
    long[] stamps = new long[VolumeModel.SECTORS_PER_BLOCK];
    java.util.Arrays.fill(stamps, stamp);
    return stamps;
  }

  /** Returns stamps: of the first block, of the second, and zeroes. */
  private static long[] found(long first, long second) {
    long[] stamps = new long[SECTORS];
    java.util.Arrays.fill(stamps, 0, 8, first);
    java.util.Arrays.fill(stamps, 8, 16, second);
    return stamps;
  }

  private void recovered(boolean power, long[] stamps) {
    model.recovered(power, stamps, new boolean[3]);
  }

  private static void broken(Guarantee guarantee, ThrowingCallable action) {
    assertThatThrownBy(action)
        .isInstanceOfSatisfying(
            Violation.class, e -> assertThat(e.guarantee()).isEqualTo(guarantee));
  }
}
