package io.plinth.engine.net;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Addresses of sockets as people write them ({@code HOST:PORT}, {@code [::1]:PORT}, {@code
 * unix:PATH}) and as the kernel wants them ({@code struct sockaddr}).
 */
public final class SocketAddresses {
  static final int AF_UNIX = 1;
  static final int AF_INET = 2;
  static final int AF_INET6 = 10;
  private static final int MAX_UNIX_PATH_BYTES = 107;

  private SocketAddresses() {}

  /** Returns the family that an encoded address belongs to. */
  public static int family(byte[] sockaddr) {
    return ByteBuffer.wrap(sockaddr).order(ByteOrder.nativeOrder()).getShort(0);
  }

  /**
   * Encodes an address. Waits while a host's name is looked up: not on a core's thread.
   *
   * @throws IllegalArgumentException with one line that names what is wrong with it
   */
  public static byte[] encode(String address) {
    return encode(address, true);
  }

  /**
   * Encodes an address whose host is no name, so that nothing is looked up.
   *
   * @throws IllegalArgumentException with one line that names what is wrong with it
   */
  static byte[] encodeLiteral(String address) {
    return encode(address, false);
  }

  /**
   * Returns an address with the host's name looked up, as a {@link io.plinth.engine.api.Dialler}
   * wants it. Waits: not on a core's thread.
   *
   * @throws IllegalArgumentException with one line that names what is wrong with it
   */
  public static String resolve(String address) {
    byte[] sockaddr = encode(address, true);
    return decode(sockaddr, sockaddr.length);
  }

  private static byte[] encode(String address, boolean byName) {
    if (address.startsWith("unix:")) {
      return encodeUnix(address.substring("unix:".length()));
    }
    int colon = address.lastIndexOf(':');
    if (colon <= 0) {
      throw new IllegalArgumentException(
          "bad address \"" + address + "\": expected HOST:PORT or unix:PATH");
    }
    int port;
    try {
      port = Integer.parseInt(address.substring(colon + 1));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "bad address \"" + address + "\": the port is not a number", e);
    }
    if (port < 0 || port > 65535) {
      throw new IllegalArgumentException(
          "bad address \"" + address + "\": the port is not within 0..65535");
    }
    String host = address.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    }
    if (!byName) {
      return encodeInternet(literal(address, host), port);
    }
    try {
      return encodeInternet(InetAddress.getByName(host), port);
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException("bad address \"" + address + "\": unknown host", e);
    }
  }

  /** Returns an encoded address as people write it. */
  static String decode(byte[] sockaddr, int length) {
    ByteBuffer buffer = ByteBuffer.wrap(sockaddr).order(ByteOrder.nativeOrder());
    int family = length < 2 ? AF_UNIX : buffer.getShort(0);
    if (family == AF_UNIX) {
      int end = 2;
      while (end < length && sockaddr[end] != 0) {
        end++;
      }
      return "unix:" + new String(sockaddr, 2, Math.max(0, end - 2), StandardCharsets.UTF_8);
    }
    int port = ((sockaddr[2] & 0xFF) << 8) | (sockaddr[3] & 0xFF);
    try {
      byte[] ip = new byte[family == AF_INET ? 4 : 16];
      System.arraycopy(sockaddr, family == AF_INET ? 4 : 8, ip, 0, ip.length);
      InetAddress host = InetAddress.getByAddress(ip);
      return host instanceof Inet6Address
          ? "[" + host.getHostAddress() + "]:" + port
          : host.getHostAddress() + ":" + port;
    } catch (UnknownHostException e) {
      throw new IllegalStateException("four or sixteen bytes are an address", e);
    }
  }

  private static InetAddress literal(String address, String host) {
    try {
      return InetAddress.ofLiteral(host);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "bad address \"" + address + "\": the host is not a number, and names are not looked up",
          e);
    }
  }

  private static byte[] encodeInternet(InetAddress host, int port) {
    byte[] ip = host.getAddress();
    boolean six = ip.length == 16;
    ByteBuffer buffer = ByteBuffer.allocate(six ? 28 : 16).order(ByteOrder.nativeOrder());
    buffer.putShort(0, (short) (six ? AF_INET6 : AF_INET));
    buffer.put(2, (byte) (port >>> 8)).put(3, (byte) port);
    buffer.put(six ? 8 : 4, ip);
    if (six) {
      buffer.putInt(24, ((Inet6Address) host).getScopeId());
    }
    return buffer.array();
  }

  private static byte[] encodeUnix(String path) {
    byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
    if (bytes.length == 0 || bytes.length > MAX_UNIX_PATH_BYTES) {
      throw new IllegalArgumentException(
          "bad unix socket path \""
              + path
              + "\": it must have 1 to "
              + MAX_UNIX_PATH_BYTES
              + " bytes");
    }
    ByteBuffer buffer = ByteBuffer.allocate(2 + bytes.length + 1).order(ByteOrder.nativeOrder());
    buffer.putShort(0, (short) AF_UNIX);
    buffer.put(2, bytes);
    return buffer.array();
  }
}
