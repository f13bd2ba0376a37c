package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.util.List;

/**
 * A request that was sent.
 *
 * @param offset unsigned
 * @param length unsigned; what the request is about, not what its header may say instead
 * @param contexts identities of the metadata contexts that the answer must have
 */
record Request(
    int command, int flags, long cookie, long offset, long length, List<Integer> contexts) {
  @Override
  public String toString() {
    return Nbd.commandName(command)
        + (flags == 0 ? "" : " with flags 0x" + Integer.toHexString(flags))
        + " of "
        + Long.toUnsignedString(length)
        + " at "
        + Long.toUnsignedString(offset);
  }
}
