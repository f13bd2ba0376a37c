package io.plinth.tools.attach;

import io.plinth.engine.api.Status;
import io.plinth.tools.attach.AttachException.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** The kernel's NBD client, spoken to by generic netlink ({@code linux/nbd-netlink.h}). */
final class KernelNbd implements NbdControl {
  static final int VERSION = 1;
  static final int CONNECT = 1;
  static final int DISCONNECT = 2;
  static final int RECONFIGURE = 3;
  static final int LINK_DEAD = 4;
  static final int STATUS = 5;
  static final int INDEX = 1;
  static final int SIZE_BYTES = 2;
  static final int BLOCK_SIZE_BYTES = 3;
  static final int TIMEOUT = 4;
  static final int SERVER_FLAGS = 5;
  static final int CLIENT_FLAGS = 6;
  static final int SOCKETS = 7;
  static final int DEAD_CONN_TIMEOUT = 8;
  static final int DEVICE_LIST = 9;
  static final int BACKEND_IDENTIFIER = 10;
  static final int SOCKET_ITEM = 1;
  static final int SOCKET_FD = 1;
  static final int DEVICE_INDEX = 1;
  static final int DEVICE_CONNECTED = 2;

  private static final int EBUSY = -16;

  private final GenericNetlink commands;

  /** A socket of its own: notifications must not come between a request and its answer. */
  private final GenericNetlink notifications;

  private final int family;

  private KernelNbd(GenericNetlink commands, GenericNetlink notifications, int family) {
    this.commands = commands;
    this.notifications = notifications;
    this.family = family;
  }

  static KernelNbd open() throws AttachException {
    GenericNetlink commands = GenericNetlink.open();
    GenericNetlink notifications = null;
    boolean opened = false;
    try {
      GenericNetlink.Family family = commands.family("nbd");
      if (family == null) {
        throw new AttachException(
            Kind.NO_MODULE, "the kernel's NBD client is not loaded: run `modprobe nbd`");
      }
      notifications = GenericNetlink.open();
      for (int group : family.groups().values()) {
        notifications.subscribe(group);
      }
      opened = true;
      return new KernelNbd(commands, notifications, family.id());
    } finally {
      if (!opened) {
        commands.close();
        if (notifications != null) {
          notifications.close();
        }
      }
    }
  }

  @Override
  public void connect(int index, Export export, long deadTimeoutS, List<Link> links)
      throws AttachException {
    request(
        "attach",
        index,
        CONNECT,
        out -> {
          writeDevice(index, export, deadTimeoutS, out);
          writeSockets(links.stream().map(Link::descriptor).toList(), out);
        });
  }

  /** Requests never time out by themselves: the server, or its silence, decides. */
  static void writeDevice(int index, Export export, long deadTimeoutS, NetlinkWriter out) {
    out.putInt(INDEX, index);
    out.putLong(SIZE_BYTES, export.sizeBytes());
    out.putLong(BLOCK_SIZE_BYTES, export.minimumBlockBytes());
    out.putLong(TIMEOUT, 0);
    out.putLong(SERVER_FLAGS, export.flags());
    out.putLong(DEAD_CONN_TIMEOUT, deadTimeoutS);
    out.putString(BACKEND_IDENTIFIER, export.name());
  }

  static void writeSockets(List<Integer> descriptors, NetlinkWriter out) {
    out.putNested(
        SOCKETS,
        list ->
            descriptors.forEach(descriptor ->
                list.putNested(SOCKET_ITEM, item -> item.putInt(SOCKET_FD, descriptor))));
  }

  @Override
  public void reconfigure(int index, String volume, List<Link> links) throws AttachException {
    request(
        "reconnect",
        index,
        RECONFIGURE,
        out -> {
          out.putInt(INDEX, index);
          out.putString(BACKEND_IDENTIFIER, volume);
          writeSockets(links.stream().map(Link::descriptor).toList(), out);
        });
  }

  @Override
  public void disconnect(int index) throws AttachException {
    request("detach", index, DISCONNECT, out -> out.putInt(INDEX, index));
  }

  private void request(String what, int index, int command, Consumer<NetlinkWriter> attributes)
      throws AttachException {
    int result = commands.request(family, command, VERSION, attributes, new ArrayList<>());
    if (result < 0) {
      String device = "/dev/nbd" + index;
      throw switch (result) {
        case EBUSY -> new AttachException(Kind.BUSY, device + " is attached already");
        case Status.EPERM, Status.EACCES ->
            new AttachException(Kind.NOT_ALLOWED, "only root can " + what + " a device");
        case Status.ENOENT, Status.EINVAL ->
            new AttachException(
                Kind.FAILED, "the kernel can't " + what + " " + device + ": no such device");
        default ->
            new AttachException(
                Kind.FAILED,
                "the kernel can't " + what + " " + device + " (" + Status.name(result) + ")");
      };
    }
  }

  @Override
  public List<Integer> attached() throws AttachException {
    List<NetlinkReader.Message> answers = new ArrayList<>();
    int result = commands.request(family, STATUS, VERSION, out -> {}, answers);
    if (result < 0) {
      throw new AttachException(
          Kind.FAILED, "the kernel does not tell its devices (" + Status.name(result) + ")");
    }
    return answers.stream().flatMap(answer -> attached(answer).stream()).toList();
  }

  static List<Integer> attached(NetlinkReader.Message status) {
    List<Integer> indexes = new ArrayList<>();
    for (NetlinkReader.Attribute list : status.attributes()) {
      if (list.type() != DEVICE_LIST) {
        continue;
      }
      for (NetlinkReader.Attribute item : list.nested()) {
        if (number(item.nested(), DEVICE_CONNECTED) == 1) {
          indexes.add(number(item.nested(), DEVICE_INDEX));
        }
      }
    }
    return indexes;
  }

  @Override
  public int awaitDeadLinks(int index, long timeoutMs) throws AttachException {
    List<NetlinkReader.Message> messages = new ArrayList<>();
    int result = notifications.receive(timeoutMs, messages);
    if (result == Status.ENOBUFS) {
      return UNKNOWN;
    }
    if (result < 0 && result != Status.EAGAIN) {
      throw new AttachException(
          Kind.FAILED, "no notifications of the kernel (" + Status.name(result) + ")");
    }
    return (int)
        messages.stream()
            .filter(message -> message.type() == family && deadIndex(message) == index)
            .count();
  }

  /** Returns whose connection was lost, or -1 for any other message. */
  static int deadIndex(NetlinkReader.Message message) {
    return message.command() == LINK_DEAD ? number(message.attributes(), INDEX) : -1;
  }

  private static int number(List<NetlinkReader.Attribute> attributes, int type) {
    for (NetlinkReader.Attribute attribute : attributes) {
      if (attribute.type() == type) {
        return attribute.number();
      }
    }
    return -1;
  }

  @Override
  public void close() {
    commands.close();
    notifications.close();
  }
}
