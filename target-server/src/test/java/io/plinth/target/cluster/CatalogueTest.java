package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CatalogueTest {
  private static final VolumeSettings SETTINGS =
      new VolumeSettings("mail", Optional.of(TlsMode.REQUIRED), List.of("CN=backup,O=Example"));

  private final Catalogue catalogue = empty();

  private static Catalogue empty() {
    return new Catalogue(Set.of());
  }

  private static Catalogue.Entry entry(int group, String name, VolumeSettings settings) {
    return new Catalogue.Entry(group, 1, name, 1L << 30, FlushPolicy.ALWAYS, settings, List.of());
  }

  private Catalogue restored() {
    Catalogue restored = empty();
    restored.restore(catalogue.encode());
    assertThat(restored.entries()).containsExactlyElementsOf(catalogue.entries());
    assertThat(restored.settingsBytes()).isEqualTo(catalogue.settingsBytes());
    return restored;
  }

  private void assertApplied(byte[] command, Catalogue.Change change, Catalogue.Entry entry) {
    assertThat(catalogue.apply(command)).isEqualTo(new Catalogue.Applied(change, entry));
  }

  @Test
  void aMoveIsTheNextOneOrVoid() {
    Catalogue.Entry entry = entry(1, "a", SETTINGS).on(List.of(1, 2, 3));
    assertApplied(Catalogue.encodeCreate(entry), Catalogue.Change.CREATED, entry);
    assertThat(catalogue.apply(Catalogue.encodePlaced(1, 0))).isNull();
    assertThat(catalogue.apply(Catalogue.encodeMove(1, 2, List.of(1, 2, 4)))).isNull();
    assertThat(catalogue.apply(Catalogue.encodeMove(7, 1, List.of(1, 2, 4)))).isNull();
    assertThat(restored().find(1)).isEqualTo(entry);

    Catalogue.Entry moving = entry.moving(1, List.of(1, 2, 4));
    assertApplied(Catalogue.encodeMove(1, 1, List.of(1, 2, 4)), Catalogue.Change.SET, moving);
    assertThat(moving.isMoving()).isTrue();
    assertThat(moving.nodes()).containsExactly(1, 2, 3, 4);
    assertThat(moving.wanted()).containsExactly(1, 2, 4);
    assertThat(restored().find(1)).isEqualTo(moving);

    Catalogue.Entry back = entry.moving(2, List.of(1, 2, 3));
    assertApplied(Catalogue.encodeMove(1, 2, List.of(1, 2, 3)), Catalogue.Change.SET, back);
    assertThat(catalogue.apply(Catalogue.encodePlaced(1, 1))).as("told too late").isNull();
    Catalogue.Entry placed = entry.moving(2, List.of());
    assertApplied(Catalogue.encodePlaced(1, 2), Catalogue.Change.SET, placed);
    assertThat(catalogue.apply(Catalogue.encodePlaced(1, 2))).as("told twice").isNull();
    assertThat(restored().find(1)).isEqualTo(placed);
  }

  @Test
  void rolesOfNodesAreKept() {
    NodeRole replaced = new NodeRole(NodeRole.Kind.DRAINING, 4);
    assertApplied(Catalogue.encodeNode(3, replaced), Catalogue.Change.NODE, null);
    assertThat(restored().role(3)).isEqualTo(replaced);
    assertThat(restored().role(4)).isEqualTo(NodeRole.IN_SERVICE);
    assertApplied(Catalogue.encodeNode(3, NodeRole.IN_SERVICE), Catalogue.Change.NODE, null);
    assertThat(restored().role(3)).isEqualTo(NodeRole.IN_SERVICE);
    assertThatThrownBy(() -> catalogue.apply(new byte[] {8, 3, 0, 0, 0, 9, 0, 0, 0, 0}))
        .hasMessage("unknown role 9 of a node");
  }

  private static Catalogue.Node node(int number, boolean isFirst) {
    return new Catalogue.Node(
        new ClusterMap.Member(number, "10.0.0." + number, 10_830, "n" + number + ":1", "r"),
        isFirst);
  }

  @Test
  void aNodeJoinsWithThoseThatWereThereBefore() {
    List<Catalogue.Node> nodes = List.of(node(1, true), node(2, true), node(4, false));
    assertApplied(Catalogue.encodeNodes(nodes, 4), Catalogue.Change.NODES, null);
    assertThat(catalogue.nodes()).containsExactlyElementsOf(nodes);
    assertThat(catalogue.role(1)).isEqualTo(NodeRole.IN_SERVICE);
    assertThat(catalogue.role(4)).isEqualTo(NodeRole.JOINING);
    assertThat(restored().nodes()).containsExactlyElementsOf(nodes);
    assertThat(restored().role(4)).isEqualTo(NodeRole.JOINING);

    assertApplied(Catalogue.encodeNode(4, NodeRole.IN_SERVICE), Catalogue.Change.NODE, null);
    assertThat(restored().role(4))
        .as("a state does not let it join again")
        .isEqualTo(NodeRole.IN_SERVICE);
    assertThat(Catalogue.decodeNodes(Catalogue.encodeNodes(nodes, 0)))
        .containsExactlyElementsOf(nodes);
  }

  @Test
  void whoJoinsWithWhatAnotherHasIsVoid() {
    List<Catalogue.Node> nodes = List.of(node(1, true), node(2, true), node(4, false));
    assertApplied(Catalogue.encodeNodes(nodes, 4), Catalogue.Change.NODES, null);
    ClusterMap.Member two = node(2, true).member();
    for (ClusterMap.Member member :
        List.of(
            new ClusterMap.Member(4, "10.0.0.5", 10_830, "n5:1", ""),
            new ClusterMap.Member(5, two.host(), two.port(), "n5:1", ""),
            new ClusterMap.Member(5, "10.0.0.5", 10_830, two.admin(), ""))) {
      Catalogue.Node joining = new Catalogue.Node(member, false);
      assertThat(catalogue.apply(Catalogue.encodeNodes(List.of(joining), member.number())))
          .isNull();
      assertThat(catalogue.nodes()).containsExactlyElementsOf(nodes);
    }
    Catalogue.Node moved =
        new Catalogue.Node(new ClusterMap.Member(2, "10.0.1.2", 1, "n2:1", "r"), true);
    assertApplied(Catalogue.encodeNodes(List.of(moved), 0), Catalogue.Change.NODES, null);
    assertThat(catalogue.nodes()).containsExactly(nodes.get(0), moved, nodes.get(2));
  }

  @Test
  void theCommandThatAdmitsANodeIsTheseBytes() {
    Catalogue.Node first =
        new Catalogue.Node(new ClusterMap.Member(1, "a", 10_830, "b:1", ""), true);
    Catalogue.Node joining =
        new Catalogue.Node(new ClusterMap.Member(4, "c", 10_831, "d:2", "r"), false);
    assertThat(HexFormat.of().formatHex(Catalogue.encodeNodes(List.of(first, joining), 4)))
        .isEqualTo(
            "0a"
                + "02"
                + ("01000000" + "01" + "4e2a" + "0161" + "03623a31" + "00")
                + ("04000000" + "02" + "4f2a" + "0163" + "03643a32" + "0172"));
    assertThatThrownBy(() -> Catalogue.decodeNodes(new byte[] {9, 0}))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> catalogue.apply(new byte[] {10, 1, 4, 0}))
        .hasMessage("catalogue command of 4 bytes is cut short");
  }

  @Test
  void commandsOfMovesAreTheseBytes() {
    HexFormat hex = HexFormat.of();
    assertThat(hex.formatHex(Catalogue.encodeMove(5, 2, List.of(1, 4))))
        .isEqualTo("06" + "05000000" + "02000000" + "02" + "01000000" + "04000000");
    assertThat(hex.formatHex(Catalogue.encodePlaced(5, 2)))
        .isEqualTo("07" + "05000000" + "02000000");
    NodeRole role = new NodeRole(NodeRole.Kind.REMOVED, 0);
    assertThat(hex.formatHex(Catalogue.encodeNode(3, role)))
        .isEqualTo("08" + "03000000" + "02" + "00000000");
    Catalogue.Entry moved =
        entry(5, "v", VolumeSettings.DEFAULT).on(List.of(1)).moving(3, List.of(4));
    String plain =
        hex.formatHex(Catalogue.encodeCreate(entry(5, "v", VolumeSettings.DEFAULT).on(List.of(1))));
    assertThat(hex.formatHex(Catalogue.encodeCreate(moved)))
        .isEqualTo("09" + plain.substring(2) + "03000000" + "01" + "04000000");
  }

  @Test
  void settingsAreCreatedSetAndDroppedWithTheVolume() {
    Catalogue.Entry plain = entry(1, "a", VolumeSettings.DEFAULT);
    Catalogue.Entry set = entry(2, "b", SETTINGS);
    assertApplied(Catalogue.encodeCreate(plain), Catalogue.Change.CREATED, plain);
    assertApplied(Catalogue.encodeCreate(set), Catalogue.Change.CREATED, set);
    assertThat(catalogue.settingsBytes()).isEqualTo(SETTINGS.encodedBytes());
    assertThat(restored().find(2).settings()).isEqualTo(SETTINGS);

    assertApplied(Catalogue.encodeSet(1, SETTINGS), Catalogue.Change.SET, plain.with(SETTINGS));
    assertApplied(
        Catalogue.encodeSet(2, VolumeSettings.DEFAULT),
        Catalogue.Change.SET,
        set.with(VolumeSettings.DEFAULT));
    assertThat(restored().find(1).settings()).isEqualTo(SETTINGS);

    assertApplied(Catalogue.encodeDelete(1), Catalogue.Change.DELETED, plain.with(SETTINGS));
    assertThat(catalogue.settingsBytes()).isZero();
    assertThat(restored().entries()).hasSize(1);
    assertThat(restored().nextGroup()).isEqualTo(3);
  }

  @Test
  void settingsOfAVolumeThatIsNotThereAreNone() {
    assertThat(catalogue.apply(Catalogue.encodeSet(7, SETTINGS))).isNull();
    assertThat(catalogue.entries()).isEmpty();
    assertThat(catalogue.settingsBytes()).isZero();
  }

  @Test
  void theLayoutsAreAsDocumented() {
    HexFormat hex = HexFormat.of();
    String rest = "05000000" + "01000000" + "0000004000000000" + "01" + "0100" + "76";
    VolumeSettings settings = new VolumeSettings("d", Optional.of(TlsMode.OFF), List.of());
    assertThat(hex.formatHex(Catalogue.encodeCreate(entry(5, "v", VolumeSettings.DEFAULT))))
        .isEqualTo("01" + rest);
    assertThat(hex.formatHex(Catalogue.encodeCreate(entry(5, "v", settings))))
        .isEqualTo("04" + rest + "01" + "010064" + "0000");
    Catalogue.Entry onNodes = entry(5, "v", settings).on(List.of(2, 3));
    assertThat(hex.formatHex(Catalogue.encodeCreate(onNodes)))
        .isEqualTo("05" + rest + "02" + "02000000" + "03000000" + "01" + "010064" + "0000");
    assertThat(hex.formatHex(Catalogue.encodeSet(5, settings)))
        .isEqualTo("03" + "05000000" + "01" + "010064" + "0000");
    assertThat(hex.formatHex(Catalogue.encodeDelete(5))).isEqualTo("02" + "05000000");
  }

  /** Two leaders, one after the other, may propose the same name. */
  @Test
  void theFirstOfTwoWithTheSameNameIsThere() {
    Catalogue.Entry first = entry(1, "a", SETTINGS).on(List.of(1, 2, 3));
    Catalogue.Entry second = entry(2, "a", VolumeSettings.DEFAULT).on(List.of(3, 2, 1));
    assertApplied(Catalogue.encodeCreate(first), Catalogue.Change.CREATED, first);
    assertThat(catalogue.apply(Catalogue.encodeCreate(second))).isNull();
    assertThat(catalogue.find("a")).isEqualTo(first);
    assertThat(catalogue.nextGroup()).isEqualTo(3);
    assertThat(restored().find(1)).isEqualTo(first);
  }

  /** What a node wrote before there were settings. */
  @Test
  void anOlderCatalogueIsRestored() {
    String create = "01" + "05000000" + "01000000" + "0000004000000000" + "01" + "0100" + "76";
    String old = "09000000" + "01000000" + "15000000" + create;
    catalogue.restore(HexFormat.of().parseHex(old));
    assertThat(catalogue.entries()).containsExactly(entry(5, "v", VolumeSettings.DEFAULT));
    assertThat(catalogue.nextGroup()).isEqualTo(9);
  }

  @Test
  void whatIsCutShortIsRefused() {
    byte[] create = Catalogue.encodeCreate(entry(2, "b", SETTINGS));
    byte[] set = Catalogue.encodeSet(2, SETTINGS);
    byte[] onNodes = Catalogue.encodeCreate(entry(2, "b", SETTINGS).on(List.of(1, 2, 3)));
    byte[] moved =
        Catalogue.encodeCreate(
            entry(2, "b", SETTINGS).on(List.of(1, 2, 3)).moving(1, List.of(1, 2, 4)));
    byte[] move = Catalogue.encodeMove(2, 1, List.of(1, 2, 4));
    byte[] placed = Catalogue.encodePlaced(2, 1);
    byte[] node = Catalogue.encodeNode(3, NodeRole.IN_SERVICE);
    for (byte[] command : List.of(create, set, onNodes, moved, move, placed, node)) {
      for (int length = 0; length < command.length; length++) {
        byte[] cut = Arrays.copyOf(command, length);
        assertThatThrownBy(() -> catalogue.apply(cut))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("catalogue command of " + length + " bytes is cut short");
      }
    }
    assertThat(catalogue.entries()).isEmpty();
    assertThatThrownBy(() -> catalogue.apply(new byte[] {99}))
        .hasMessage("unknown catalogue command 99");
  }
}
