package io.plinth.target.cluster;

import io.plinth.log.journal.PlantedBug;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.io.ByteArrayOutputStream;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The state machine of group 0. Commands are records of its log, little-endian:
 *
 * <pre>
 *  create:  u8 1, u32 group, u32 log, u64 sizeBytes, u8 flushPolicy (0 flush, 1 always), u16 length, name in UTF-8
 *  delete:  u8 2, u32 group
 *  set:     u8 3, u32 group, all of the settings (see {@link VolumeSettings})
 *  create with settings: u8 4, the rest as of create, settings
 *  create with members:  u8 5, the rest as of create, u8 members, u32 node each, settings
 *  move:    u8 6, u32 group, u32 number, u8 nodes, u32 node each
 *  placed:  u8 7, u32 group, u32 number
 *  node:    u8 8, u32 node, u8 what it is to be (see {@link NodeRole}), u32 replacement or 0
 *  create with moves:    u8 9, the rest as of create with members, u32 number, u8 nodes, u32 node each
 *  nodes:   u8 10, u8 nodes, for each: u32 node, u8 flags (1 the cluster has begun with it, 2 it joins),
 *           u16 port, three times u8 length and UTF-8: host, address of the admin API, rack
 * </pre>
 *
 * Group numbers are never used again, so that records of a deleted volume never reach another. A
 * volume begins with its settings by one command: with two, a crash between them would leave a
 * volume that is less protected than asked for. A volume with members is not created when there is
 * one of its name: who proposes it may not know of all that is committed.
 *
 * <p>A move says which nodes are to have the replicas of a volume. It is made by its group, one
 * node at a time, and ended by {@code placed} when the group has these members and no others. Moves
 * of a volume are numbered from 1 on: one that is not the next was proposed by somebody who did not
 * know of another, and what is told of an earlier one is void. A move may follow one that is not
 * ended.
 *
 * <p>As long as no node has joined, the nodes are those of everybody's configuration. The command
 * that admits the first one names all of them. One that joins with a number or an address that
 * another node has is void, with all that is in its command.
 *
 * <p>The whole state is {@code u32 next group, u32 commands}, and for each volume {@code u32
 * length} and the command that creates it, for each node that is not just in service the same, and
 * then one for all nodes, if there is anything to say of them.
 */
public final class Catalogue {
  /** The group whose log the commands are in. */
  public static final int GROUP = 0;

  /**
   * What the settings of all volumes together may take: all of the state is in memory, and in each
   * checkpoint in one piece.
   */
  public static final int MAXIMUM_SETTINGS_BYTES = 4 << 20;

  private static final byte CREATE = 1;
  private static final byte DELETE = 2;
  private static final byte SET = 3;
  private static final byte CREATE_WITH_SETTINGS = 4;
  private static final byte CREATE_WITH_MEMBERS = 5;
  private static final byte MOVE = 6;
  private static final byte PLACED = 7;
  private static final byte NODE = 8;
  private static final byte CREATE_WITH_MOVES = 9;
  private static final byte NODES = 10;
  private static final int FIRST = 1;
  private static final int JOINS = 2;

  /** The longest host, address or rack of a node, in bytes of UTF-8. */
  public static final int MAXIMUM_TEXT_BYTES = 255;

  /** Of commands: other nodes are asked whether they know them before a new one is used. */
  public static final int LANGUAGE = NODES;

  private static final int CREATE_FIXED_BYTES = 20;

  private final boolean forgetsSettings;
  private boolean forgetsNodes;
  private final TreeMap<Integer, Entry> entries = new TreeMap<>();
  private final TreeMap<Integer, NodeRole> roles = new TreeMap<>();
  private final TreeMap<Integer, Node> nodes = new TreeMap<>();
  private int nextGroup = GROUP + 1;
  private int settingsBytes;

  /**
   * A volume as the catalogue knows it.
   *
   * @param group its number
   * @param log which log of each member it is in
   * @param sizeBytes what it began with: a change is in its own log
   * @param members the nodes that have replicas; empty for those of a node that is in no cluster
   * @param moves the number of the newest move; 0 as long as the replicas are where they began
   * @param target the nodes that are to have replicas; empty when no move is under way
   */
  public record Entry(
      int group,
      int log,
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      VolumeSettings settings,
      List<Integer> members,
      int moves,
      List<Integer> target) {
    /** Copies the lists. */
    public Entry {
      members = List.copyOf(members);
      target = List.copyOf(target);
    }

    /** Creates a volume of which nothing was ever moved. */
    public Entry(
        int group,
        int log,
        String name,
        long sizeBytes,
        FlushPolicy flushPolicy,
        VolumeSettings settings,
        List<Integer> members) {
      this(group, log, name, sizeBytes, flushPolicy, settings, members, 0, List.of());
    }

    /** Returns the same volume with other settings. */
    public Entry with(VolumeSettings changed) {
      return new Entry(group, log, name, sizeBytes, flushPolicy, changed, members, moves, target);
    }

    /** Returns the same volume on these nodes. */
    public Entry on(List<Integer> nodes) {
      return new Entry(group, log, name, sizeBytes, flushPolicy, settings, nodes, moves, target);
    }

    /** Returns the same volume with its newest move, or none that is under way. */
    public Entry moving(int number, List<Integer> nodes) {
      return new Entry(group, log, name, sizeBytes, flushPolicy, settings, members, number, nodes);
    }

    /** Returns whether its replicas are to be on other nodes than they are known to be on. */
    public boolean isMoving() {
      return !target.isEmpty();
    }

    /** Returns which nodes are to have its replicas, in the end. */
    public List<Integer> wanted() {
      return isMoving() ? target : members;
    }

    /** Returns which nodes may have replicas that are of use: those that do and those to come. */
    public List<Integer> nodes() {
      Set<Integer> all = new TreeSet<>(members);
      all.addAll(target);
      return List.copyOf(all);
    }
  }

  /**
   * A node as the catalogue knows it.
   *
   * @param member where it is
   * @param isFirst whether the cluster has begun with it
   */
  public record Node(ClusterMap.Member member, boolean isFirst) {}

  /** What becomes of an entry. */
  public enum Change {
    CREATED,
    DELETED,
    SET,
    /** A node has another role; there is no entry. */
    NODE,
    /** There are other nodes, or they are elsewhere; there is no entry. */
    NODES
  }

  /**
   * What a command did.
   *
   * @param change what became of the entry
   * @param entry as it is now, or was before it was deleted; null when it is about a node
   */
  public record Applied(Change change, Entry entry) {}

  /**
   * Creates an empty catalogue.
   *
   * @param plantedBugs empty except in tests
   */
  public Catalogue(Set<PlantedBug> plantedBugs) {
    this.forgetsSettings = plantedBugs.contains(PlantedBug.CHECKPOINT_FORGETS_SETTINGS);
  }

  /** Returns the volumes in the order of their groups. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(entries.values());
  }

  /** Returns the volume of a group, or null. */
  public Entry find(int group) {
    return entries.get(group);
  }

  /** Returns the volume of that name, or null. */
  public Entry find(String name) {
    for (Entry entry : entries.values()) {
      if (entry.name.equals(name)) {
        return entry;
      }
    }
    return null;
  }

  /** Returns what a node is to be. */
  public NodeRole role(int node) {
    return roles.getOrDefault(node, NodeRole.IN_SERVICE);
  }

  /** Returns the nodes in the order of their numbers; none as long as no node has joined. */
  public Collection<Node> nodes() {
    return Collections.unmodifiableCollection(nodes.values());
  }

  /** Makes the mistake of forgetting the nodes in each state; only in tests. */
  public void forgetNodes() {
    forgetsNodes = true;
  }

  /** Returns how many bytes the settings of all volumes take in {@link #encode}. */
  public int settingsBytes() {
    return settingsBytes;
  }

  /** Returns how many bytes the settings of one volume add to that. */
  public static int settingsBytes(VolumeSettings settings) {
    return settings.equals(VolumeSettings.DEFAULT) ? 0 : settings.encodedBytes();
  }

  /** A group has existed: its number is not used again. */
  public void noteGroup(int group) {
    nextGroup = Math.max(nextGroup, group + 1);
  }

  /** Encodes the whole state, for {@link #restore}. */
  public byte[] encode() {
    List<byte[]> commands = new ArrayList<>();
    int bytes = 2 * Integer.BYTES;
    for (Entry entry : entries.values()) {
      byte[] create = encodeCreate(forgetsSettings ? entry.with(VolumeSettings.DEFAULT) : entry);
      commands.add(create);
      bytes += Integer.BYTES + create.length;
    }
    for (var role : roles.entrySet()) {
      byte[] set = encodeNode(role.getKey(), role.getValue());
      commands.add(set);
      bytes += Integer.BYTES + set.length;
    }
    if (!nodes.isEmpty() && !forgetsNodes) {
      byte[] all = encodeNodes(nodes.values(), 0);
      commands.add(all);
      bytes += Integer.BYTES + all.length;
    }
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(nextGroup).putInt(commands.size());
    commands.forEach(create -> buffer.putInt(create.length).put(create));
    return buffer.array();
  }

  /**
   * Takes back an encoded state; nothing for empty bytes.
   *
   * @throws IllegalArgumentException when the bytes are none
   */
  public void restore(byte[] bytes) {
    if (bytes.length == 0) {
      return;
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try {
      nextGroup = buffer.getInt();
      for (int i = buffer.getInt(); i > 0; i--) {
        byte[] create = new byte[Math.min(buffer.getInt(), buffer.remaining())];
        buffer.get(create);
        Applied _ = apply(create);
      }
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException("the catalogue in the checkpoint is cut short", e);
    }
  }

  /**
   * Becomes what another one was that has encoded it.
   *
   * @throws IllegalArgumentException when the bytes are none; this is not what it was any more then
   */
  public void replaceBy(byte[] bytes) {
    entries.clear();
    roles.clear();
    nodes.clear();
    settingsBytes = 0;
    nextGroup = GROUP + 1;
    restore(bytes);
  }

  /** Returns a group number above all that were used. */
  public int nextGroup() {
    return nextGroup;
  }

  /** Encodes the creation of a volume with its settings. */
  public static byte[] encodeCreate(Entry entry) {
    byte[] name = entry.name.getBytes(StandardCharsets.UTF_8);
    boolean hasMembers = !entry.members.isEmpty();
    boolean isPlain = !hasMembers && entry.settings.equals(VolumeSettings.DEFAULT);
    byte[] settings = isPlain ? new byte[0] : entry.settings.encode();
    int memberBytes = hasMembers ? 1 + Integer.BYTES * entry.members.size() : 0;
    boolean hasMoved = entry.moves > 0;
    int moveBytes = hasMoved ? 5 + Integer.BYTES * entry.target.size() : 0;
    ByteBuffer buffer =
        ByteBuffer.allocate(
                CREATE_FIXED_BYTES + name.length + memberBytes + settings.length + moveBytes)
            .order(ByteOrder.LITTLE_ENDIAN);
    byte withMembers = hasMoved ? CREATE_WITH_MOVES : CREATE_WITH_MEMBERS;
    byte withSettings = hasMembers ? withMembers : CREATE_WITH_SETTINGS;
    buffer.put(isPlain ? CREATE : withSettings);
    buffer.putInt(entry.group).putInt(entry.log).putLong(entry.sizeBytes);
    buffer.put((byte) (entry.flushPolicy == FlushPolicy.ALWAYS ? 1 : 0));
    buffer.putShort((short) name.length).put(name);
    if (hasMembers) {
      putNodes(buffer, entry.members);
    }
    buffer.put(settings);
    if (hasMoved) {
      putNodes(buffer.putInt(entry.moves), entry.target);
    }
    return buffer.array();
  }

  private static void putNodes(ByteBuffer buffer, List<Integer> nodes) {
    buffer.put((byte) nodes.size());
    nodes.forEach(buffer::putInt);
  }

  private static List<Integer> nodes(ByteBuffer buffer) {
    List<Integer> nodes = new ArrayList<>();
    for (int i = buffer.get(); i > 0; i--) {
      nodes.add(buffer.getInt());
    }
    return nodes;
  }

  /**
   * Encodes which nodes are to have the replicas of a volume.
   *
   * @param number one more than that of the move before
   */
  public static byte[] encodeMove(int group, int number, List<Integer> nodes) {
    ByteBuffer buffer =
        ByteBuffer.allocate(10 + Integer.BYTES * nodes.size()).order(ByteOrder.LITTLE_ENDIAN);
    putNodes(buffer.put(MOVE).putInt(group).putInt(number), nodes);
    return buffer.array();
  }

  /** Encodes that the replicas are where a move wants them. */
  public static byte[] encodePlaced(int group, int number) {
    return ByteBuffer.allocate(9)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(PLACED)
        .putInt(group)
        .putInt(number)
        .array();
  }

  /** Encodes what a node is to be from now on. */
  public static byte[] encodeNode(int node, NodeRole role) {
    return ByteBuffer.allocate(10)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(NODE)
        .putInt(node)
        .put(role.kind().code())
        .putInt(role.replacement())
        .array();
  }

  /**
   * Encodes where nodes are.
   *
   * @param joining the one of them that joins with this; 0 for none
   */
  public static byte[] encodeNodes(Collection<Node> nodes, int joining) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(NODES);
    bytes.write(nodes.size());
    for (Node node : nodes) {
      ClusterMap.Member member = node.member;
      int flags = (node.isFirst ? FIRST : 0) | (member.number() == joining ? JOINS : 0);
      ByteBuffer fixed = ByteBuffer.allocate(7).order(ByteOrder.LITTLE_ENDIAN);
      fixed.putInt(member.number()).put((byte) flags).putShort((short) member.port()).flip();
      while (fixed.hasRemaining()) {
        bytes.write(fixed.get());
      }
      for (String text : List.of(member.host(), member.admin(), member.rack())) {
        byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
        if (encoded.length > MAXIMUM_TEXT_BYTES) {
          throw new IllegalArgumentException("too long: " + text);
        }
        bytes.write(encoded.length);
        bytes.writeBytes(encoded);
      }
    }
    return bytes.toByteArray();
  }

  /**
   * Returns the nodes that {@link #encodeNodes} was given.
   *
   * @throws IllegalArgumentException when the bytes are no such command
   */
  public static List<Node> decodeNodes(byte[] command) {
    Catalogue read = new Catalogue(Collections.emptySet());
    if (command.length == 0 || command[0] != NODES || read.apply(command) == null) {
      throw new IllegalArgumentException("no nodes");
    }
    return List.copyOf(read.nodes.values());
  }

  /** Puts all of the nodes of a command, or none. */
  private Applied applyNodes(ByteBuffer buffer) {
    TreeMap<Integer, Node> told = new TreeMap<>(nodes);
    List<Node> joining = new ArrayList<>();
    for (int i = buffer.get(); i > 0; i--) {
      int number = buffer.getInt();
      int flags = buffer.get();
      int port = buffer.getShort() & 0xFFFF;
      Node node =
          new Node(
              new ClusterMap.Member(number, text(buffer), port, text(buffer), text(buffer)),
              (flags & FIRST) != 0);
      if ((flags & JOINS) == 0) {
        Node _ = told.put(number, node);
      } else {
        joining.add(node);
      }
    }
    for (Node node : joining) {
      if (told.values().stream().anyMatch(other -> isTaken(node.member, other.member))) {
        return null;
      }
      Node _ = told.put(node.member.number(), node);
    }
    nodes.putAll(told);
    joining.forEach(node -> roles.put(node.member.number(), NodeRole.JOINING));
    return new Applied(Change.NODES, null);
  }

  /** Returns whether a new node would have the number or an address of another one. */
  public static boolean isTaken(ClusterMap.Member joining, ClusterMap.Member other) {
    return joining.number() == other.number()
        || joining.address(0).equals(other.address(0))
        || joining.admin().equals(other.admin());
  }

  private static String text(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.get() & 0xFF];
    buffer.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** Encodes the deletion of a volume. */
  public static byte[] encodeDelete(int group) {
    return ByteBuffer.allocate(5).order(ByteOrder.LITTLE_ENDIAN).put(DELETE).putInt(group).array();
  }

  /** Encodes new settings of a volume: all of them, so that the newest command says all. */
  public static byte[] encodeSet(int group, VolumeSettings settings) {
    byte[] encoded = settings.encode();
    return ByteBuffer.allocate(5 + encoded.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(SET)
        .putInt(group)
        .put(encoded)
        .array();
  }

  /**
   * Applies a command.
   *
   * @return the entry that was created, deleted or set, and what became of it; null when nothing
   *     did: a deleted one, or one to be set or moved, was not there, one of the name of a created
   *     one was, or there is another move
   * @throws IllegalArgumentException when the bytes are no command
   */
  public Applied apply(byte[] command) {
    ByteBuffer buffer = ByteBuffer.wrap(command).order(ByteOrder.LITTLE_ENDIAN);
    try {
      byte type = buffer.get();
      return switch (type) {
        case CREATE -> created(put(decodeCreate(buffer)));
        case CREATE_WITH_SETTINGS -> {
          Entry entry = decodeCreate(buffer);
          yield created(put(entry.with(VolumeSettings.decode(buffer))));
        }
        case CREATE_WITH_MEMBERS, CREATE_WITH_MOVES -> {
          Entry plain = decodeMembers(decodeCreate(buffer), buffer);
          Entry entry =
              type == CREATE_WITH_MOVES ? plain.moving(buffer.getInt(), nodes(buffer)) : plain;
          boolean isFree = find(entry.name) == null;
          nextGroup = Math.max(nextGroup, entry.group + 1);
          yield isFree ? created(put(entry)) : null;
        }
        case DELETE -> {
          Entry entry = remove(buffer.getInt());
          yield entry == null ? null : new Applied(Change.DELETED, entry);
        }
        case SET -> {
          Entry entry = entries.get(buffer.getInt());
          VolumeSettings settings = VolumeSettings.decode(buffer);
          yield entry == null ? null : new Applied(Change.SET, put(entry.with(settings)));
        }
        case MOVE -> {
          Entry entry = entries.get(buffer.getInt());
          int number = buffer.getInt();
          List<Integer> nodes = nodes(buffer);
          yield entry == null || number != entry.moves + 1
              ? null
              : new Applied(Change.SET, put(entry.moving(number, nodes)));
        }
        case PLACED -> {
          Entry entry = entries.get(buffer.getInt());
          int number = buffer.getInt();
          boolean isNewest = entry != null && number == entry.moves && entry.isMoving();
          yield isNewest
              ? new Applied(Change.SET, put(entry.on(entry.target).moving(entry.moves, List.of())))
              : null;
        }
        case NODE -> {
          int node = buffer.getInt();
          NodeRole role = NodeRole.of(buffer.get(), buffer.getInt());
          NodeRole _ =
              role.equals(NodeRole.IN_SERVICE) ? roles.remove(node) : roles.put(node, role);
          yield new Applied(Change.NODE, null);
        }
        case NODES -> applyNodes(buffer);
        default -> throw new IllegalArgumentException("unknown catalogue command " + type);
      };
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException(
          "catalogue command of " + command.length + " bytes is cut short", e);
    }
  }

  private static Applied created(Entry entry) {
    return new Applied(Change.CREATED, entry);
  }

  private static Entry decodeMembers(Entry plain, ByteBuffer buffer) {
    List<Integer> members = nodes(buffer);
    return new Entry(
        plain.group,
        plain.log,
        plain.name,
        plain.sizeBytes,
        plain.flushPolicy,
        VolumeSettings.decode(buffer),
        members);
  }

  private Entry put(Entry entry) {
    Entry _ = remove(entry.group);
    entries.put(entry.group, entry);
    nextGroup = Math.max(nextGroup, entry.group + 1);
    settingsBytes += settingsBytes(entry.settings);
    return entry;
  }

  private Entry remove(int group) {
    Entry removed = entries.remove(group);
    settingsBytes -= removed == null ? 0 : settingsBytes(removed.settings);
    return removed;
  }

  private static Entry decodeCreate(ByteBuffer buffer) {
    int group = buffer.getInt();
    int log = buffer.getInt();
    long sizeBytes = buffer.getLong();
    FlushPolicy policy = buffer.get() == 1 ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
    byte[] name = new byte[buffer.getShort()];
    buffer.get(name);
    return new Entry(
        group,
        log,
        new String(name, StandardCharsets.UTF_8),
        sizeBytes,
        policy,
        VolumeSettings.DEFAULT,
        List.of());
  }
}
