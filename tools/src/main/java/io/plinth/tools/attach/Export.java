package io.plinth.tools.attach;

import io.plinth.tools.nbd.Nbd;

/**
 * What a server says about a volume.
 *
 * @param name the volume's own name, also when the server chose it
 * @param minimumBlockBytes smallest request; 512 when the server has no limit
 */
public record Export(String name, long sizeBytes, int flags, int minimumBlockBytes) {
  /** FLUSH, FUA and TRIM: what the kernel sends when it was told so. */
  private static final int FLAGS_USED = Nbd.SEND_FLUSH | Nbd.SEND_FUA | Nbd.SEND_TRIM;

  /** Returns whether nothing can be written. */
  public boolean isReadOnly() {
    return (flags & Nbd.READ_ONLY) != 0;
  }

  boolean canMultiConn() {
    return (flags & Nbd.CAN_MULTI_CONN) != 0;
  }

  /** Returns why {@code other} can't take the place of this one, or null when it can. */
  String differenceTo(Export other) {
    if (!other.name.equals(name)) {
      return "it serves volume \"" + other.name + "\", not \"" + name + "\"";
    }
    if (other.sizeBytes < sizeBytes) {
      return "its volume has "
          + other.sizeBytes
          + " bytes, fewer than the "
          + sizeBytes
          + " of the device";
    }
    if (other.isReadOnly() && !isReadOnly()) {
      return "its volume is read-only, and the device is not";
    }
    if ((flags & ~other.flags & FLAGS_USED) != 0) {
      return "it can do less than the server that the device was attached to";
    }
    return null;
  }
}
