package io.plinth.tools.simulator.check;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** What may be read of a volume that clients of several nodes use. */
class CellHistoryTest {
  private final CellHistory history = new CellHistory(4);

  @Test
  void whatWasNeverWrittenReadsAsZeroes() {
    assertThat(history.read(0, 0, 10, 11)).isNull();
    assertThat(history.read(0, 7, 10, 11)).contains("cell 0 reads as 7");
  }

  @Test
  void whatWasAcknowledgedIsReadByWhoBeginsLater() {
    CellHistory.Change write = history.begin(1, false, 0, 2, 10);
    assertThat(history.read(0, 0, 15, 16)).as("it may come later").isNull();
    history.acknowledge(write, false, 20);
    assertThat(history.read(0, 0, 19, 25)).as("it was on its way").isNull();
    assertThat(history.read(0, 0, 21, 25)).contains("cell 0 reads as 0");
    assertThat(history.read(1, 1, 21, 25)).isNull();
  }

  @Test
  void whatAReadHasReturnedIsThereForAllThatBeginLater() {
    CellHistory.Change _ = history.begin(1, false, 0, 2, 10);
    assertThat(history.read(0, 1, 15, 20)).isNull();
    assertThat(history.read(0, 0, 21, 25)).contains("cell 0 reads as 0");
  }

  @Test
  void whatIsNotAcknowledgedMayComeLater() {
    CellHistory.Change _ = history.begin(1, false, 0, 1, 10);
    history.acknowledge(history.begin(2, false, 0, 1, 20), false, 30);
    assertThat(history.read(0, 1, 40, 50)).isNull();
  }

  @Test
  void whatIsReplacedIsOver() {
    history.acknowledge(history.begin(1, false, 0, 1, 10), false, 20);
    history.acknowledge(history.begin(2, true, 0, 1, 30), false, 40);
    assertThat(history.read(0, 1, 50, 60)).contains("cell 0 reads as 1");
    assertThat(history.read(0, 0, 50, 60)).isNull();
  }

  @Test
  void theLossOfPowerLeavesWhatWasFlushed() {
    history.acknowledge(history.begin(1, false, 0, 1, 10), false, 20);
    history.flushed(25);
    history.acknowledge(history.begin(2, false, 0, 1, 30), false, 40);
    history.acknowledge(history.begin(3, false, 1, 1, 30), true, 40);
    history.powerLost();
    assertThat(history.read(0, 1, 50, 60)).isNull();
    assertThat(history.read(0, 0, 50, 60)).contains("cell 0 reads as 0");
    assertThat(history.read(1, 0, 50, 60)).contains("cell 1 reads as 0");
  }

  @Test
  void whatASenderHasWrittenThroughALaterConnectionIsNotUndone() {
    CellHistory.Sender sender = new CellHistory.Sender();
    CellHistory.Change _ = history.begin(1, false, 0, 1, 10, sender);
    sender.connectAnew();
    CellHistory.Change later = history.begin(2, false, 0, 1, 15, sender);
    assertThat(history.read(0, 1, 16, 17)).as("in front of it").isNull();
    CellHistory.Change _ = history.begin(3, false, 0, 1, 20, sender);
    history.acknowledge(later, false, 30);
    assertThat(history.read(0, 1, 31, 32)).contains("cell 0 reads as 1");
    assertThat(history.read(0, 3, 31, 32)).as("through the same connection").isNull();
  }

  @Test
  void whatASenderHasReadThroughALaterConnectionIsNotUndone() {
    CellHistory.Sender sender = new CellHistory.Sender();
    CellHistory.Change _ = history.begin(1, false, 0, 2, 10, sender);
    CellHistory.Change _ = history.begin(2, false, 0, 2, 10, new CellHistory.Sender());
    sender.connectAnew();
    assertThat(history.read(0, 0, 20, 30, sender)).isNull();
    assertThat(history.read(0, 1, 31, 32)).contains("cell 0 reads as 1");
    assertThat(history.read(1, 1, 31, 32)).as("nobody has read it").isNull();
    assertThat(history.read(0, 2, 31, 32)).as("of somebody else").isNull();
  }

  @Test
  void aTornChangeIsFound() {
    CellHistory.Change _ = history.begin(1, false, 0, 2, 10);
    assertThat(history.readAll(new long[] {1, 1, 0, 0}, 20)).isNull();
    CellHistory.Change _ = history.begin(2, false, 2, 2, 30);
    assertThat(history.readAll(new long[] {1, 1, 2, 0}, 40)).contains("write 2").contains("torn");
  }
}
