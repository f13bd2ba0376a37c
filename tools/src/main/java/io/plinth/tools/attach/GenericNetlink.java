package io.plinth.tools.attach;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.Posix;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** A socket that speaks generic netlink with the kernel, for one thread. */
final class GenericNetlink implements AutoCloseable {
  /** A family of commands: its number, and its multicast groups by name. */
  record Family(int id, Map<String, Integer> groups) {}

  private static final int NETLINK_GENERIC = 16;
  private static final int SOL_NETLINK = 270;
  private static final int ADD_MEMBERSHIP = 1;
  private static final int CONTROLLER = 16;
  private static final int GET_FAMILY = 3;
  private static final int ATTRIBUTE_ID = 1;
  private static final int ATTRIBUTE_NAME = 2;
  private static final int ATTRIBUTE_GROUPS = 7;
  private static final int GROUP_NAME = 1;
  private static final int GROUP_ID = 2;
  private static final int RECEIVE_BYTES = 64 * 1024;

  /** The kernel answers at once, or when a device has been set up. */
  private static final long ANSWER_MS = 30_000;

  private final int descriptor;
  private final byte[] received = new byte[RECEIVE_BYTES];
  private int sequence;

  private GenericNetlink(int descriptor) {
    this.descriptor = descriptor;
  }

  static GenericNetlink open() throws AttachException {
    int descriptor = Posix.netlinkSocket(NETLINK_GENERIC);
    if (descriptor < 0) {
      throw failed("no netlink socket", descriptor);
    }
    // struct sockaddr_nl: family, padding, port 0 for one that the kernel chooses, no groups.
    byte[] address =
        ByteBuffer.allocate(12)
            .order(ByteOrder.nativeOrder())
            .putShort((short) Posix.AF_NETLINK)
            .array();
    int result = Posix.bind(descriptor, address);
    if (result < 0) {
      int _ = Posix.close(descriptor);
      throw failed("can't bind a netlink socket", result);
    }
    return new GenericNetlink(descriptor);
  }

  /** Returns a family, or null when the kernel has none of that name. */
  Family family(String name) throws AttachException {
    List<NetlinkReader.Message> answers = new ArrayList<>();
    int result =
        request(CONTROLLER, GET_FAMILY, 1, out -> out.putString(ATTRIBUTE_NAME, name), answers);
    if (result == Status.ENOENT) {
      return null;
    }
    if (result < 0 || answers.isEmpty()) {
      throw failed("the kernel does not tell about its netlink families", result);
    }
    int id = -1;
    Map<String, Integer> groups = new HashMap<>();
    for (NetlinkReader.Attribute attribute : answers.getFirst().attributes()) {
      if (attribute.type() == ATTRIBUTE_ID) {
        id = attribute.number();
      } else if (attribute.type() == ATTRIBUTE_GROUPS) {
        attribute.nested().forEach(group -> addGroup(group, groups));
      }
    }
    return id < 0 ? null : new Family(id, Map.copyOf(groups));
  }

  private static void addGroup(NetlinkReader.Attribute group, Map<String, Integer> groups) {
    String name = "";
    int id = -1;
    for (NetlinkReader.Attribute attribute : group.nested()) {
      if (attribute.type() == GROUP_NAME) {
        name = attribute.string();
      } else if (attribute.type() == GROUP_ID) {
        id = attribute.number();
      }
    }
    groups.put(name, id);
  }

  void subscribe(int group) throws AttachException {
    int result = Posix.setOption(descriptor, SOL_NETLINK, ADD_MEMBERSHIP, group);
    if (result < 0) {
      throw failed("can't listen to the kernel's notifications", result);
    }
  }

  /**
   * Sends a request and waits for its acknowledgement.
   *
   * @param answers takes the messages that come before it
   * @return 0, or the negated errno that the kernel answers
   */
  int request(
      int family,
      int command,
      int version,
      Consumer<NetlinkWriter> attributes,
      List<NetlinkReader.Message> answers)
      throws AttachException {
    sequence++;
    NetlinkWriter writer = new NetlinkWriter(family, sequence, command, version);
    attributes.accept(writer);
    int result = Posix.send(descriptor, writer.message(), 0);
    while (result >= 0) {
      List<NetlinkReader.Message> messages = new ArrayList<>();
      result = receive(ANSWER_MS, messages);
      for (NetlinkReader.Message message : messages) {
        if (message.sequence() != sequence) {
          continue;
        }
        if (message.type() == NetlinkReader.TYPE_ERROR) {
          return message.error();
        }
        answers.add(message);
      }
    }
    throw failed("no answer of the kernel over netlink", result);
  }

  /** Waits for messages; returns their number or a negated errno, EAGAIN when none came in time. */
  int receive(long timeoutMs, List<NetlinkReader.Message> messages) {
    int result = Posix.setTimeouts(descriptor, Math.max(1, timeoutMs));
    if (result >= 0) {
      result = Posix.receive(descriptor, received, 0, received.length);
    }
    if (result > 0) {
      // Messages refer to the bytes they came in; those are used again by the next call.
      messages.addAll(NetlinkReader.messages(received.clone(), result));
      result = messages.size();
    }
    return result == Status.EINTR ? Status.EAGAIN : result;
  }

  private static AttachException failed(String what, int result) {
    return new AttachException(
        AttachException.Kind.FAILED, what + " (" + Status.name(result) + ")");
  }

  @Override
  public void close() {
    int _ = Posix.close(descriptor);
  }
}
