package io.plinth.tools.attach;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledIf;

/** The bytes are written down by hand from the kernel's headers, for little-endian machines. */
@Timeout(60)
class NetlinkTest {
  private static final int FAMILY = 0x1d;

  static boolean isBigEndian() {
    return ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN;
  }

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text.replaceAll("\\s", ""));
  }

  @Test
  @DisabledIf("isBigEndian")
  void aLookUpOfAFamilyIsWrittenAsTheHeadersSay() {
    NetlinkWriter writer = new NetlinkWriter(16, 7, 3, 1);
    writer.putString(2, "nbd");
    assertThat(writer.message())
        .isEqualTo(
            hex(
                """
                1c000000 1000 0500 07000000 00000000
                03 01 0000
                0800 0200 6e626400
                """));
  }

  @Test
  @DisabledIf("isBigEndian")
  void aConnectIsWrittenAsTheHeadersSay() {
    NetlinkWriter writer = new NetlinkWriter(FAMILY, 2, KernelNbd.CONNECT, KernelNbd.VERSION);
    KernelNbd.writeDevice(3, new Export("demo", 1L << 30, 0x16d, 512), 300, writer);
    KernelNbd.writeSockets(List.of(9, 10), writer);
    assertThat(writer.message())
        .isEqualTo(
            hex(
                """
                80000000 1d00 0500 02000000 00000000
                01 01 0000
                0800 0100 03000000
                0c00 0200 0000004000000000
                0c00 0300 0002000000000000
                0c00 0400 0000000000000000
                0c00 0500 6d01000000000000
                0c00 0800 2c01000000000000
                0900 0a00 64656d6f00 000000
                1c00 0780
                  0c00 0180 0800 0100 09000000
                  0c00 0180 0800 0100 0a000000
                """));
  }

  @Test
  @DisabledIf("isBigEndian")
  void anAnswerToStatusTellsWhichDevicesAreAttached() {
    byte[] answer =
        hex(
            """
            4c000000 1d00 0000 02000000 00000000
            05 00 0000
            3800 0980
              1400 0180 0800 0100 00000000 0500 0200 01 000000
              1400 0180 0800 0100 01000000 0500 0200 00 000000
              0c00 0180 0800 0100 02000000
            """);
    List<NetlinkReader.Message> messages = NetlinkReader.messages(answer, answer.length);
    assertThat(messages).hasSize(1);
    assertThat(messages.getFirst().type()).isEqualTo(FAMILY);
    assertThat(messages.getFirst().sequence()).isEqualTo(2);
    assertThat(KernelNbd.attached(messages.getFirst())).containsExactly(0);
  }

  @Test
  @DisabledIf("isBigEndian")
  void aNotificationTellsWhoseConnectionIsDead() {
    byte[] notifications =
        hex(
            """
            1c000000 1d00 0000 00000000 00000000 04 00 0000 0800 0100 05000000
            1c000000 1d00 0000 00000000 00000000 05 00 0000 0800 0100 05000000
            """);
    List<NetlinkReader.Message> messages =
        NetlinkReader.messages(notifications, notifications.length);
    assertThat(messages).extracting(KernelNbd::deadIndex).containsExactly(5, -1);
  }

  @Test
  @DisabledIf("isBigEndian")
  void anErrorIsANegatedNumber() {
    byte[] error =
        hex("24000000 0200 0000 01000000 00000000 f0ffffff 00000000 00000000 00000000 00000000");
    assertThat(NetlinkReader.messages(error, error.length).getFirst().error()).isEqualTo(-16);
  }

  @Test
  @DisabledIf("isBigEndian")
  void whatIsCutOffOrMalformedIsLeftOut() {
    byte[] whole = hex("1c000000 1d00 0000 00000000 00000000 04 00 0000 0800 0100 05000000");
    for (int length = 0; length < whole.length; length++) {
      assertThat(NetlinkReader.messages(whole, length)).isEmpty();
    }
    byte[] attributeTooLong = whole.clone();
    attributeTooLong[20] = 9;
    byte[] attributeOfNothing = whole.clone();
    attributeOfNothing[20] = 0;
    byte[] noCommand = hex("10000000 1d00 0000 00000000 00000000");
    for (byte[] bytes : List.of(attributeTooLong, attributeOfNothing, noCommand)) {
      assertThat(KernelNbd.deadIndex(NetlinkReader.messages(bytes, bytes.length).getFirst()))
          .isEqualTo(-1);
    }
  }

  /** The kernel is the judge: its controller is a family itself, number 16 on every Linux. */
  @Test
  void theRunningKernelUnderstandsALookUp() throws AttachException {
    try (GenericNetlink netlink = GenericNetlink.open()) {
      assertThat(netlink.family("nlctrl").id()).isEqualTo(16);
      assertThat(netlink.family("nlctrl").groups()).containsKey("notify");
      assertThat(netlink.family("no-such")).isNull();
    }
  }
}
