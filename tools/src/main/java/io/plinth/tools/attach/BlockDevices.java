package io.plinth.tools.attach;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.Posix;
import io.plinth.tools.attach.AttachException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The NBD devices as files show them. */
public final class BlockDevices {
  private static final Pattern DEVICE = Pattern.compile("(?:/dev/)?nbd([0-9]{1,5})");
  private static final Path SYSFS = Path.of("/sys/block");
  private static final int SECTOR_BYTES = 512;
  private static final int EBUSY = -16;

  /**
   * A device.
   *
   * @param volume what it was attached to; null when whoever attached it did not say
   * @param processId who attached it, and may have ended; null when unknown
   */
  public record Device(
      String device, int index, boolean attached, long sizeBytes, String volume, Long processId) {}

  private BlockDevices() {}

  /**
   * Returns the number in {@code /dev/nbdNUMBER}.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static int index(String device) {
    Matcher matcher = DEVICE.matcher(device);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "bad device \"" + device + "\": expected one such as /dev/nbd0");
    }
    return Integer.parseInt(matcher.group(1));
  }

  static String name(int index) {
    return "/dev/nbd" + index;
  }

  /** Returns the devices that the kernel has, attached or not. */
  public static List<Device> list() throws AttachException {
    try (NbdControl control = KernelNbd.open()) {
      return list(SYSFS, control.attached());
    }
  }

  static List<Device> list(Path sysfs, List<Integer> attached) throws AttachException {
    List<Device> devices = new ArrayList<>();
    try (Stream<Path> entries = Files.list(sysfs)) {
      for (Path entry : entries.toList()) {
        Matcher matcher = DEVICE.matcher(entry.getFileName().toString());
        if (matcher.matches()) {
          devices.add(device(entry, Integer.parseInt(matcher.group(1)), attached));
        }
      }
    } catch (IOException e) {
      throw new AttachException(Kind.FAILED, "can't read " + sysfs + ": " + e.getMessage(), e);
    }
    devices.sort(Comparator.comparingInt(Device::index));
    return devices;
  }

  private static Device device(Path entry, int index, List<Integer> attached) {
    long sectors = number(read(entry.resolve("size")), 0);
    long processId = number(read(entry.resolve("pid")), 0);
    return new Device(
        name(index),
        index,
        attached.contains(index),
        sectors * SECTOR_BYTES,
        read(entry.resolve("backend")),
        processId == 0 ? null : Long.valueOf(processId));
  }

  /** Returns what an attached device was attached to, or null. */
  static String volume(int index) {
    return read(SYSFS.resolve("nbd" + index).resolve("backend"));
  }

  static long sizeBytes(int index) {
    return number(read(SYSFS.resolve("nbd" + index).resolve("size")), 0) * SECTOR_BYTES;
  }

  /** Returns whether the kernel lets the time be set; those before 5.0 do not. */
  static boolean setRetryMs(int index, long retryMs) {
    Path file = SYSFS.resolve("nbd" + index).resolve("queue/io_timeout");
    try {
      Files.writeString(file, Long.toString(retryMs), StandardOpenOption.WRITE);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** Files of a device that is not attached are absent, or can't be read. */
  private static String read(Path file) {
    try {
      String text = Files.readString(file).strip();
      return text.isEmpty() ? null : text;
    } catch (IOException e) {
      return null;
    }
  }

  private static long number(String text, long otherwise) {
    try {
      return text == null ? otherwise : Long.parseLong(text);
    } catch (NumberFormatException e) {
      return otherwise;
    }
  }

  /** Returns whether a file system or another device uses it. */
  static boolean isInUse(int index) {
    int descriptor = Posix.open(name(index), Posix.O_RDONLY | Posix.O_EXCL, 0);
    if (descriptor >= 0) {
      int _ = Posix.close(descriptor);
    }
    return descriptor == EBUSY;
  }

  /** Makes what was written to a device durable on the server. */
  static void flush(int index) throws AttachException {
    int descriptor = Posix.open(name(index), Posix.O_RDONLY, 0);
    int result = descriptor;
    if (descriptor >= 0) {
      result = Posix.sync(descriptor);
      int _ = Posix.close(descriptor);
    }
    if (result < 0) {
      throw new AttachException(
          Kind.FAILED, "can't flush " + name(index) + " (" + Status.name(result) + ")");
    }
  }

  /**
   * Flushes and detaches a device.
   *
   * @param force also when it is in use; and without a flush, which a dead connection would hold up
   */
  public static void detach(int index, boolean force) throws AttachException {
    try (NbdControl control = KernelNbd.open()) {
      if (!control.attached().contains(index)) {
        throw new AttachException(Kind.NOT_FOUND, name(index) + " is not attached");
      }
      if (!force) {
        if (isInUse(index)) {
          throw new AttachException(
              Kind.BUSY, name(index) + " is in use: unmount it first, or use --force");
        }
        flush(index);
      }
      control.disconnect(index);
    }
  }
}
