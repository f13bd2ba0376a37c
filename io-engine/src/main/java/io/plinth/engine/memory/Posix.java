package io.plinth.engine.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.BitSet;

/**
 * The blocking system calls that set things up: opening and sizing files, making sockets. Every
 * method that can fail returns a negated errno then, see {@link io.plinth.engine.api.Status}. Never
 * called for each operation of a client.
 */
@SuppressWarnings("restricted") // this is where native functions are called
public final class Posix {
  public static final int O_RDONLY = 0;
  public static final int O_RDWR = 2;
  public static final int O_CREAT = 0x40;
  public static final int O_EXCL = 0x80;
  public static final int O_DIRECT = 0x4000;
  public static final int O_DIRECTORY = 0x10000;
  public static final int O_CLOEXEC = 0x80000;
  public static final int AF_NETLINK = 16;
  public static final int SOL_SOCKET = 1;
  public static final int SO_REUSEADDR = 2;
  public static final int SO_TYPE = 3;
  public static final int SO_KEEPALIVE = 9;
  public static final int SO_ACCEPTCONN = 30;
  public static final int SOCK_STREAM = 1;
  public static final int IPPROTO_TCP = 6;
  public static final int TCP_NODELAY = 1;
  public static final int FALLOCATE_KEEP_SIZE = 1;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final VarHandle ERRNO =
      Linker.Option.captureStateLayout().varHandle(MemoryLayout.PathElement.groupElement("errno"));
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  // open(2) is variadic: its third argument travels as such.
  private static final MethodHandle OPEN =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("open").orElseThrow(),
          FunctionDescriptor.of(INT, ValueLayout.ADDRESS, INT, INT),
          Linker.Option.captureCallState("errno"),
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle CLOSE = function("close", FunctionDescriptor.of(INT, INT));
  private static final MethodHandle FSYNC = function("fsync", FunctionDescriptor.of(INT, INT));
  private static final MethodHandle FALLOCATE =
      function("fallocate", FunctionDescriptor.of(INT, INT, INT, LONG, LONG));
  private static final MethodHandle FTRUNCATE =
      function("ftruncate", FunctionDescriptor.of(INT, INT, LONG));
  private static final MethodHandle SOCKET =
      function("socket", FunctionDescriptor.of(INT, INT, INT, INT));
  private static final MethodHandle BIND =
      function("bind", FunctionDescriptor.of(INT, INT, ValueLayout.ADDRESS, INT));
  private static final MethodHandle CONNECT =
      function("connect", FunctionDescriptor.of(INT, INT, ValueLayout.ADDRESS, INT));
  private static final MethodHandle SEND =
      function("send", FunctionDescriptor.of(LONG, INT, ValueLayout.ADDRESS, LONG, INT));
  private static final MethodHandle RECEIVE =
      function("recv", FunctionDescriptor.of(LONG, INT, ValueLayout.ADDRESS, LONG, INT));
  private static final MethodHandle POLL =
      function("poll", FunctionDescriptor.of(INT, ValueLayout.ADDRESS, LONG, INT));
  private static final MethodHandle LISTEN =
      function("listen", FunctionDescriptor.of(INT, INT, INT));
  private static final MethodHandle SETSOCKOPT =
      function("setsockopt", FunctionDescriptor.of(INT, INT, INT, INT, ValueLayout.ADDRESS, INT));
  private static final MethodHandle GETSOCKOPT =
      function(
          "getsockopt",
          FunctionDescriptor.of(INT, INT, INT, INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
  // fcntl(2) is variadic too.
  private static final MethodHandle FCNTL =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("fcntl").orElseThrow(),
          FunctionDescriptor.of(INT, INT, INT, INT),
          Linker.Option.captureCallState("errno"),
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle GETSOCKNAME =
      function(
          "getsockname", FunctionDescriptor.of(INT, INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
  private static final MethodHandle GETPEERNAME =
      function(
          "getpeername", FunctionDescriptor.of(INT, INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS));

  private static final MethodHandle PREAD =
      function("pread", FunctionDescriptor.of(LONG, INT, LONG, LONG, LONG));
  private static final MethodHandle PWRITE =
      function("pwrite", FunctionDescriptor.of(LONG, INT, LONG, LONG, LONG));

  private static final MethodHandle FADVISE =
      function("posix_fadvise", FunctionDescriptor.of(INT, INT, LONG, LONG, INT));
  private static final MethodHandle SYNC_FILE_RANGE =
      function("sync_file_range", FunctionDescriptor.of(INT, INT, LONG, LONG, INT));

  private static final MethodHandle GETAFFINITY =
      function("sched_getaffinity", FunctionDescriptor.of(INT, INT, LONG, ValueLayout.ADDRESS));
  private static final MethodHandle SETAFFINITY =
      function("sched_setaffinity", FunctionDescriptor.of(INT, INT, LONG, ValueLayout.ADDRESS));

  /** Bytes of a processor mask: enough for 8,192 processors. */
  private static final int MASK_BYTES = 1024;

  private Posix() {}

  /** Returns the processors that the calling thread may run on, in ascending order. */
  public static int[] allowedProcessors() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment mask = arena.allocate(MASK_BYTES);
      int result = (int) GETAFFINITY.invokeExact(state, 0, (long) MASK_BYTES, mask);
      if (result < 0) {
        return new int[0];
      }
      return BitSet.valueOf(mask.toArray(ValueLayout.JAVA_BYTE)).stream().toArray();
    } catch (Throwable e) {
      throw unexpected("sched_getaffinity", e);
    }
  }

  /** Lets the calling thread run on one processor only. */
  public static int pinThread(int processor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment mask = arena.allocate(MASK_BYTES);
      BitSet bits = new BitSet();
      bits.set(processor);
      mask.copyFrom(MemorySegment.ofArray(bits.toByteArray()));
      return result(state, (int) SETAFFINITY.invokeExact(state, 0, (long) MASK_BYTES, mask));
    } catch (Throwable e) {
      throw unexpected("sched_setaffinity", e);
    }
  }

  /** Begins to write dirty pages of a file to the disk; promises nothing about durability. */
  public static int beginWriteback(int descriptor, long position, long length) {
    final int write = 2;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(
          state, (int) SYNC_FILE_RANGE.invokeExact(state, descriptor, position, length, write));
    } catch (Throwable e) {
      throw unexpected("sync_file_range", e);
    }
  }

  /** Lets the kernel forget clean pages of a file. */
  public static int dropCache(int descriptor, long position, long length) {
    final int dontNeed = 4;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return -(int) FADVISE.invokeExact(state, descriptor, position, length, dontNeed);
    } catch (Throwable e) {
      throw unexpected("posix_fadvise", e);
    }
  }

  /** Reads at a position, waiting for the disk; returns the count, which may be short. */
  public static int read(int descriptor, long address, int length, long position) {
    return transfer(PREAD, descriptor, address, length, position);
  }

  /** Writes at a position; returns the count, which may be short. */
  public static int write(int descriptor, long address, int length, long position) {
    return transfer(PWRITE, descriptor, address, length, position);
  }

  private static int transfer(
      MethodHandle function, int descriptor, long address, int length, long position) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      long result =
          (long) function.invokeExact(state, descriptor, address, (long) length, position);
      return result >= 0 ? (int) result : -(int) ERRNO.get(state, 0L);
    } catch (Throwable e) {
      throw unexpected("pread", e);
    }
  }

  /** Opens a file, close-on-exec; returns the descriptor. */
  public static int open(String path, int flags, int mode) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int result = (int) OPEN.invokeExact(state, arena.allocateFrom(path), flags | O_CLOEXEC, mode);
      return result(state, result);
    } catch (Throwable e) {
      throw unexpected("open", e);
    }
  }

  /** Closes a descriptor. */
  public static int close(int descriptor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(state, (int) CLOSE.invokeExact(state, descriptor));
    } catch (Throwable e) {
      throw unexpected("close", e);
    }
  }

  /** Makes a file or a directory durable, waiting for the disk. */
  public static int sync(int descriptor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(state, (int) FSYNC.invokeExact(state, descriptor));
    } catch (Throwable e) {
      throw unexpected("fsync", e);
    }
  }

  /** Makes a directory's entries durable. */
  public static int syncDirectory(String path) {
    int descriptor = open(path, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0) {
      return descriptor;
    }
    int result = sync(descriptor);
    close(descriptor);
    return result;
  }

  /** Allocates a file's space and extends it. */
  public static int allocate(int descriptor, long position, long length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(state, (int) FALLOCATE.invokeExact(state, descriptor, 0, position, length));
    } catch (Throwable e) {
      throw unexpected("fallocate", e);
    }
  }

  /** Sets a file's size. */
  public static int truncate(int descriptor, long length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(state, (int) FTRUNCATE.invokeExact(state, descriptor, length));
    } catch (Throwable e) {
      throw unexpected("ftruncate", e);
    }
  }

  /** Makes a stream socket of an address family, close-on-exec; returns the descriptor. */
  public static int streamSocket(int family) {
    return socket(family, 1, 0);
  }

  /** Makes a socket that speaks to the kernel, close-on-exec; returns the descriptor. */
  public static int netlinkSocket(int protocol) {
    final int rawSocket = 3;
    return socket(AF_NETLINK, rawSocket, protocol);
  }

  private static int socket(int family, int type, int protocol) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(state, (int) SOCKET.invokeExact(state, family, type | O_CLOEXEC, protocol));
    } catch (Throwable e) {
      throw unexpected("socket", e);
    }
  }

  /** Binds a socket to an encoded {@code struct sockaddr}. */
  public static int bind(int descriptor, byte[] sockaddr) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment address = arena.allocateFrom(ValueLayout.JAVA_BYTE, sockaddr);
      return result(state, (int) BIND.invokeExact(state, descriptor, address, sockaddr.length));
    } catch (Throwable e) {
      throw unexpected("bind", e);
    }
  }

  /** Connects a socket to an encoded address, waiting for as long as its timeout for sending. */
  public static int connect(int descriptor, byte[] sockaddr) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment address = arena.allocateFrom(ValueLayout.JAVA_BYTE, sockaddr);
      return result(state, (int) CONNECT.invokeExact(state, descriptor, address, sockaddr.length));
    } catch (Throwable e) {
      throw unexpected("connect", e);
    }
  }

  /** Sends bytes, without SIGPIPE; returns the count, which may be short. */
  public static int send(int descriptor, byte[] bytes, int offset) {
    final int noSignal = 0x4000;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      long length = bytes.length - (long) offset;
      MemorySegment memory = arena.allocate(Math.max(1, length));
      MemorySegment.copy(bytes, offset, memory, ValueLayout.JAVA_BYTE, 0, (int) length);
      long sent = (long) SEND.invokeExact(state, descriptor, memory, length, noSignal);
      return result(state, (int) sent);
    } catch (Throwable e) {
      throw unexpected("send", e);
    }
  }

  /** Receives at most {@code length} bytes; returns the count, 0 at the end of the stream. */
  public static int receive(int descriptor, byte[] bytes, int offset, int length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment memory = arena.allocate(Math.max(1, length));
      long received = (long) RECEIVE.invokeExact(state, descriptor, memory, (long) length, 0);
      if (received > 0) {
        MemorySegment.copy(memory, ValueLayout.JAVA_BYTE, 0, bytes, offset, (int) received);
      }
      return result(state, (int) received);
    } catch (Throwable e) {
      throw unexpected("recv", e);
    }
  }

  /** Makes a socket's blocking calls end with EAGAIN after so many milliseconds; 0 for never. */
  public static int setTimeouts(int descriptor, long timeoutMs) {
    final int receiveTimeout = 20;
    final int sendTimeout = 21;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment time = arena.allocateFrom(LONG, timeoutMs / 1000, timeoutMs % 1000 * 1000);
      int size = (int) time.byteSize();
      int received =
          result(
              state,
              (int)
                  SETSOCKOPT.invokeExact(
                      state, descriptor, SOL_SOCKET, receiveTimeout, time, size));
      return received < 0
          ? received
          : result(
              state,
              (int) SETSOCKOPT.invokeExact(state, descriptor, SOL_SOCKET, sendTimeout, time, size));
    } catch (Throwable e) {
      throw unexpected("setsockopt", e);
    }
  }

  /**
   * Returns whether the peer of a connected socket has ended or reset the stream, whatever was sent
   * before that and was not received; also when the descriptor is none.
   */
  public static boolean hasEnded(int descriptor) {
    final int error = 0x8;
    final int hangUp = 0x10;
    final int invalid = 0x20;
    final int peerHangUp = 0x2000;
    final int eventsOffset = Integer.BYTES;
    final int resultOffset = eventsOffset + Short.BYTES;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment asked = arena.allocate(Long.BYTES, Long.BYTES);
      asked.set(INT, 0, descriptor);
      asked.set(ValueLayout.JAVA_SHORT, eventsOffset, (short) peerHangUp);
      int count = (int) POLL.invokeExact(state, asked, 1L, 0);
      int events = asked.get(ValueLayout.JAVA_SHORT, resultOffset);
      return count > 0 && (events & (error | hangUp | invalid | peerHangUp)) != 0;
    } catch (Throwable e) {
      throw unexpected("poll", e);
    }
  }

  /** Makes a bound socket listen. */
  public static int listen(int descriptor, int backlog) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      return result(state, (int) LISTEN.invokeExact(state, descriptor, backlog));
    } catch (Throwable e) {
      throw unexpected("listen", e);
    }
  }

  /** Sets an integer option of a socket. */
  public static int setOption(int descriptor, int level, int option, int value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment memory = arena.allocateFrom(INT, value);
      return result(
          state,
          (int) SETSOCKOPT.invokeExact(state, descriptor, level, option, memory, Integer.BYTES));
    } catch (Throwable e) {
      throw unexpected("setsockopt", e);
    }
  }

  /** Returns an integer option of a socket. */
  public static int getOption(int descriptor, int level, int option) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment memory = arena.allocateFrom(INT, 0);
      MemorySegment length = arena.allocateFrom(INT, Integer.BYTES);
      int result =
          result(
              state,
              (int) GETSOCKOPT.invokeExact(state, descriptor, level, option, memory, length));
      return result < 0 ? result : memory.get(INT, 0);
    } catch (Throwable e) {
      throw unexpected("getsockopt", e);
    }
  }

  /** Makes the operations of a descriptor wait instead of ending with EAGAIN. */
  public static int makeBlocking(int descriptor) {
    final int getFlags = 3;
    final int setFlags = 4;
    final int nonBlocking = 0x800;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      int flags = result(state, (int) FCNTL.invokeExact(state, descriptor, getFlags, 0));
      if (flags < 0 || (flags & nonBlocking) == 0) {
        return Math.min(flags, 0);
      }
      return result(
          state, (int) FCNTL.invokeExact(state, descriptor, setFlags, flags & ~nonBlocking));
    } catch (Throwable e) {
      throw unexpected("fcntl", e);
    }
  }

  /** Stores a socket's own encoded address; returns its length. */
  public static int localName(int descriptor, byte[] sockaddr) {
    return name(GETSOCKNAME, descriptor, sockaddr);
  }

  /** Stores the encoded address of a socket's peer; returns its length. */
  public static int peerName(int descriptor, byte[] sockaddr) {
    return name(GETPEERNAME, descriptor, sockaddr);
  }

  private static int name(MethodHandle function, int descriptor, byte[] sockaddr) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment address = arena.allocate(sockaddr.length);
      MemorySegment length = arena.allocateFrom(INT, sockaddr.length);
      int result = result(state, (int) function.invokeExact(state, descriptor, address, length));
      if (result < 0) {
        return result;
      }
      MemorySegment.copy(address, ValueLayout.JAVA_BYTE, 0, sockaddr, 0, sockaddr.length);
      return Math.min(sockaddr.length, length.get(INT, 0));
    } catch (Throwable e) {
      throw unexpected("getsockname", e);
    }
  }

  private static int result(MemorySegment state, int result) {
    return result >= 0 ? result : -(int) ERRNO.get(state, 0L);
  }

  private static IllegalStateException unexpected(String function, Throwable e) {
    return new IllegalStateException(function, e);
  }

  private static MethodHandle function(String name, FunctionDescriptor descriptor) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().find(name).orElseThrow(),
        descriptor,
        Linker.Option.captureCallState("errno"));
  }
}
