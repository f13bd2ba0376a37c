package io.plinth.log.replication;

import io.plinth.raft.core.Membership;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What a record JOIN says: who the members of a group were when this node's replica of it began,
 * and what its owner wants to find again. Little-endian:
 *
 * <pre>
 *  u32 voters, u32 each, the owner's bytes
 * </pre>
 */
public final class GroupBeginning {
  private final Membership membership;
  private final byte[] owners;

  private GroupBeginning(Membership membership, byte[] owners) {
    this.membership = membership;
    this.owners = owners;
  }

  /** Encodes the beginning of a group with these voters. */
  public static byte[] encode(int[] voters, byte[] owners) {
    ByteBuffer out =
        ByteBuffer.allocate(Integer.BYTES * (1 + voters.length) + owners.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(voters.length);
    for (int voter : voters) {
      out.putInt(voter);
    }
    byte[] bytes = new byte[out.capacity()];
    out.put(owners).flip().get(bytes);
    return bytes;
  }

  /**
   * Decodes what {@link #encode} has made.
   *
   * @throws IllegalArgumentException when the bytes are none; one line
   */
  public static GroupBeginning decode(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try {
      int count = in.getInt();
      if (count < 0 || count > in.remaining() / Integer.BYTES) {
        throw new BufferUnderflowException();
      }
      int[] voters = new int[count];
      for (int i = 0; i < count; i++) {
        voters[i] = in.getInt();
      }
      byte[] owners = new byte[in.remaining()];
      in.get(owners);
      return new GroupBeginning(Membership.of(voters), owners);
    } catch (BufferUnderflowException e) {
      throw new IllegalArgumentException(
          "the beginning of a group in " + bytes.length + " bytes is cut short", e);
    }
  }

  Membership membership() {
    return membership;
  }

  /** Returns a copy of the owner's bytes. */
  public byte[] owners() {
    return owners.clone();
  }
}
