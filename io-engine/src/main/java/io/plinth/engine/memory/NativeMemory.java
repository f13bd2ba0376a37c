package io.plinth.engine.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A region of address space from mmap(2): anonymous memory, zero until written and committed page
 * by page, or a file's pages. Addresses inside it are plain longs; nothing checks them once the
 * region is closed.
 */
@SuppressWarnings("restricted") // this is where native functions are called
public final class NativeMemory {
  /** Size of a page, and the alignment of every region. */
  public static final int PAGE_BYTES = 4096;

  private static final int PROT_READ = 1;
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_FIXED = 0x10;
  private static final int MAP_SHARED = 1;
  private static final int MAP_PRIVATE = 2;
  private static final int MAP_ANONYMOUS = 0x20;
  private static final int MAP_NORESERVE = 0x4000;
  private static final int MADV_DONTNEED = 4;
  private static final int MADV_HUGEPAGE = 14;
  private static final int MADV_NOHUGEPAGE = 15;
  private static final int MADV_POPULATE_READ = 22;
  private static final int MADV_POPULATE_WRITE = 23;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final Linker.Option CAPTURE_ERRNO = Linker.Option.captureCallState("errno");
  private static final VarHandle ERRNO =
      Linker.Option.captureStateLayout()
          .varHandle(java.lang.foreign.MemoryLayout.PathElement.groupElement("errno"));
  private static final MethodHandle MMAP =
      function(
          "mmap",
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG));
  private static final MethodHandle MUNMAP =
      function(
          "munmap",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
  private static final MethodHandle MLOCK =
      function(
          "mlock",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
  private static final MethodHandle MADVISE =
      function(
          "madvise",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));

  /** Tells no errno, and so needs no memory for it. */
  private static final MethodHandle MADVISE_QUIETLY =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("madvise").orElseThrow(),
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));

  private final long address;
  private final long sizeBytes;
  private final ByteBuffer bytes;
  private long mappedBytes;
  private boolean closed;

  private NativeMemory(long address, long sizeBytes) {
    this.address = address;
    this.sizeBytes = sizeBytes;
    mappedBytes = sizeBytes;
    this.bytes =
        sizeBytes <= Integer.MAX_VALUE
            ? MemorySegment.ofAddress(address)
                .reinterpret(sizeBytes)
                .asByteBuffer()
                .order(ByteOrder.LITTLE_ENDIAN)
            : null;
  }

  /**
   * Reserves anonymous memory.
   *
   * @param sizeBytes how much, rounded up to whole pages
   * @throws OutOfMemoryError when the address space is exhausted
   */
  public static NativeMemory reserve(long sizeBytes) {
    long size = (sizeBytes + PAGE_BYTES - 1) & -PAGE_BYTES;
    long address = map(0, size, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (address < 0) {
      throw new OutOfMemoryError("mmap of " + size + " bytes failed: errno " + -address);
    }
    return new NativeMemory(address, size);
  }

  /**
   * Maps a file shared, so that what is written is in the kernel's page cache at once.
   *
   * @param descriptor the open file
   * @param sizeBytes how much from its start, a multiple of 4096
   * @return the region, or null when the kernel refuses
   */
  public static NativeMemory mapFile(int descriptor, long sizeBytes) {
    long address = map(0, sizeBytes, PROT_READ_WRITE, MAP_SHARED, descriptor);
    return address < 0 ? null : new NativeMemory(address, sizeBytes);
  }

  /**
   * Replaces a mapped file's pages by the same ones, not writable, at the same address. Taking all
   * of them out at once is cheaper by far than what writeback does to writable pages one by one;
   * who reads meanwhile waits for a page-table entry, not for a disk.
   *
   * @return 0 or a negated errno
   */
  public int makeReadOnly(int descriptor) {
    long result = map(address, sizeBytes, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor);
    return result < 0 ? (int) result : 0;
  }

  /** Returns the address of the first byte. */
  public long address() {
    return address;
  }

  /** Returns the size in bytes, whole pages. */
  public long sizeBytes() {
    return sizeBytes;
  }

  /**
   * Returns the CRC32C of part of the region, which must not be larger than 2 GiB.
   *
   * @param at the first byte's address, inside the region
   */
  public int crc32c(CRC32C crc, long at, int length) {
    crc.reset();
    update(crc, at, length);
    return (int) crc.getValue();
  }

  /** Adds part of the region to a checksum of what came before; see {@link #crc32c}. */
  public void update(CRC32C crc, long at, int length) {
    int offset = (int) (at - address);
    bytes.limit(offset + length).position(offset);
    crc.update(bytes);
  }

  /** Returns the CRC32C of part of the region with the four bytes at an offset taken as zero. */
  public int crc32cWithout(CRC32C crc, long at, int length, int skipped) {
    int offset = (int) (at - address);
    bytes.limit(offset + skipped).position(offset);
    crc.reset();
    crc.update(bytes);
    for (int i = 0; i < Integer.BYTES; i++) {
      crc.update(0);
    }
    bytes.limit(offset + length).position(offset + skipped + Integer.BYTES);
    crc.update(bytes);
    return (int) crc.getValue();
  }

  /** Copies bytes between addresses that do not overlap. */
  public static void copy(long from, long to, long length) {
    UnsafeApi.copyMemory(from, to, length);
  }

  /** Sets bytes to zero. */
  public static void zero(long at, long length) {
    UnsafeApi.setMemory(at, length, (byte) 0);
  }

  /** Returns a new view of part of the region. */
  public UnsafeBuffer buffer(long offset, int length) {
    if (offset < 0 || length < 0 || offset + length > sizeBytes) {
      throw new IndexOutOfBoundsException(
          "offset=" + offset + " length=" + length + " size=" + sizeBytes);
    }
    return new UnsafeBuffer(address + offset, length);
  }

  /**
   * Makes pages present and writable, waiting for the file system where it must; returns 0 or a
   * negated errno.
   */
  public int populateForWrite(long offset, long length) {
    return advise(offset, length, MADV_POPULATE_WRITE);
  }

  /**
   * Makes pages present, reading them from the file where they are not cached; returns 0 or a
   * negated errno.
   */
  public int populateForRead(long offset, long length) {
    return advise(offset, length, MADV_POPULATE_READ);
  }

  /**
   * Gives anonymous pages back to the kernel; they read as zero afterwards. Returns whether the
   * kernel took them. Allocates nothing.
   */
  public boolean discard(long offset, long length) {
    return dontNeed(offset, length);
  }

  /**
   * Takes pages of a mapped file out of the page table; they stay in the page cache, and the next
   * access finds them there. Returns whether the kernel did; it does not for pinned pages.
   * Allocates nothing.
   */
  public boolean unmapPages(long offset, long length) {
    return dontNeed(offset, length);
  }

  private boolean dontNeed(long offset, long length) {
    try {
      return (int) MADVISE_QUIETLY.invokeExact(address + offset, length, MADV_DONTNEED) == 0;
    } catch (Throwable e) {
      throw new IllegalStateException("madvise", e);
    }
  }

  /**
   * Keeps the kernel from using huge pages for the region, so that {@link #discard} of a small part
   * of it frees memory at once. A kernel without huge pages refuses, which is as good.
   */
  public void useSmallPages() {
    int _ = advise(0, sizeBytes, MADV_NOHUGEPAGE);
  }

  /**
   * Has the kernel use huge pages (of 2 MiB) for the region where it can, so that reads all over it
   * miss the processor's table of addresses less often. The first access to each of them zeroes it
   * whole. A kernel without huge pages refuses, which is as good.
   */
  public void useHugePages() {
    int _ = advise(0, sizeBytes, MADV_HUGEPAGE);
  }

  /**
   * Pins pages so that they stay in memory; returns 0 or a negated errno, EPERM or ENOMEM where the
   * limit forbids it.
   */
  public int lock(long offset, long length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int result = (int) MLOCK.invokeExact(state, address + offset, length);
      return result == 0 ? 0 : -(int) ERRNO.get(state, 0L);
    } catch (Throwable e) {
      throw new IllegalStateException("mlock", e);
    }
  }

  /**
   * Unmaps what lies behind the first {@code size} bytes, a multiple of 4096: for whoever closes a
   * large region in pieces. Nothing but that and {@link #close} may follow.
   */
  public void shrink(long size) {
    if (size < mappedBytes) {
      unmap(size, mappedBytes - size);
      mappedBytes = size;
    }
  }

  /** Unmaps the region. */
  public void close() {
    if (closed) {
      throw new IllegalStateException("region closed twice");
    }
    closed = true;
    if (mappedBytes > 0) {
      unmap(0, mappedBytes);
    }
  }

  private void unmap(long offset, long length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int result = (int) MUNMAP.invokeExact(state, address + offset, length);
      if (result != 0) {
        throw new IllegalStateException("munmap: errno " + (int) ERRNO.get(state, 0L));
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("munmap", e);
    }
  }

  private static long map(long at, long size, int protection, int flags, int descriptor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      long result = (long) MMAP.invokeExact(state, at, size, protection, flags, descriptor, 0L);
      return result == -1 ? -(int) ERRNO.get(state, 0L) : result;
    } catch (Throwable e) {
      throw new IllegalStateException("mmap", e);
    }
  }

  private int advise(long offset, long length, int advice) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int result = (int) MADVISE.invokeExact(state, address + offset, length, advice);
      return result == 0 ? 0 : -(int) ERRNO.get(state, 0L);
    } catch (Throwable e) {
      throw new IllegalStateException("madvise", e);
    }
  }

  private static MethodHandle function(String name, FunctionDescriptor descriptor) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().find(name).orElseThrow(), descriptor, CAPTURE_ERRNO);
  }
}
