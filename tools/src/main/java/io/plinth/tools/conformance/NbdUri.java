package io.plinth.tools.conformance;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.net.UnixDomainSocketAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where a server is ({@code doc/uri.md} of NetworkBlockDevice/nbd).
 *
 * @param text as it was given
 * @param host of a TCP server, without brackets; empty for a unix socket
 * @param socket path of a unix socket; empty for TCP
 * @param export the name of the export; empty for the default one
 * @param tls the connection is encrypted
 * @param certificates directory in libnbd's layout; empty for none
 * @param hostName the name that the server's certificate must have; empty for the host of the URI
 * @param verifyPeer the server's certificate is checked
 */
public record NbdUri(
    String text,
    String host,
    int port,
    String socket,
    String export,
    boolean tls,
    String certificates,
    String hostName,
    boolean verifyPeer) {
  private static final List<String> SCHEMES = List.of("nbd", "nbd+unix", "nbds", "nbds+unix");

  /**
   * Reads a URI.
   *
   * @throws IllegalArgumentException with one line that tells what is wrong with it
   */
  public static NbdUri parse(String text) {
    URI uri;
    try {
      uri = new URI(text);
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException("not a URI: " + text + " (" + e.getReason() + ")", e);
    }
    String scheme = uri.getScheme();
    if (scheme == null || !SCHEMES.contains(scheme)) {
      throw new IllegalArgumentException(
          "a URI begins with nbd:// nbd+unix:// nbds:// or nbds+unix://, this does not: " + text);
    }
    if (uri.isOpaque() || uri.getFragment() != null || uri.getUserInfo() != null) {
      throw new IllegalArgumentException("not an NBD URI: " + text);
    }
    Map<String, String> parameters = parameters(uri.getRawQuery());
    boolean unix = scheme.endsWith("+unix");
    boolean tls = scheme.startsWith("nbds");
    String socket = parameters.getOrDefault("socket", "");
    if (unix && socket.isEmpty()) {
      throw new IllegalArgumentException(scheme + ":// needs the parameter socket: " + text);
    }
    if (!unix && (uri.getHost() == null || uri.getHost().isEmpty())) {
      throw new IllegalArgumentException("the URI names no host: " + text);
    }
    if (tls) {
      requireCertificates(parameters);
    }
    String path = uri.getRawPath() == null ? "" : uri.getRawPath();
    return new NbdUri(
        text,
        unix ? "" : withoutBrackets(uri.getHost()),
        uri.getPort() < 0 ? Nbd.DEFAULT_PORT : uri.getPort(),
        unix ? socket : "",
        decode(path.startsWith("/") ? path.substring(1) : path),
        tls,
        parameters.getOrDefault("tls-certificates", ""),
        parameters.getOrDefault("tls-hostname", ""),
        !List.of("0", "false").contains(parameters.getOrDefault("tls-verify-peer", "1")));
  }

  boolean isUnix() {
    return !socket.isEmpty();
  }

  /** Returns the name that the server's certificate must have. */
  String tlsName() {
    return !hostName.isEmpty() ? hostName : isUnix() ? "localhost" : host;
  }

  SocketAddress address() throws IOException {
    if (isUnix()) {
      return UnixDomainSocketAddress.of(Path.of(socket));
    }
    try {
      return new InetSocketAddress(InetAddress.getByName(host), port);
    } catch (UnknownHostException e) {
      throw new IOException("unknown host " + host, e);
    }
  }

  /** The Java machine's TLS has certificates only. */
  private static void requireCertificates(Map<String, String> parameters) {
    String type = parameters.getOrDefault("tls-type", "x509");
    if (parameters.containsKey("tls-psk-file") || type.equals("psk")) {
      throw new IllegalArgumentException(
          "TLS with a pre-shared key is not available here: use tls-certificates=DIR");
    }
    if (!type.equals("x509")) {
      throw new IllegalArgumentException("tls-type must be x509, not " + type);
    }
  }

  private static Map<String, String> parameters(String query) {
    Map<String, String> parameters = new LinkedHashMap<>();
    if (query == null || query.isEmpty()) {
      return parameters;
    }
    for (String parameter : query.split("[&;]", -1)) {
      int equals = parameter.indexOf('=');
      String name = equals < 0 ? parameter : parameter.substring(0, equals);
      String value = equals < 0 ? "" : parameter.substring(equals + 1);
      parameters.put(decode(name), decode(value));
    }
    return parameters;
  }

  /** A plus sign stands for itself in these URIs. */
  private static String decode(String text) {
    return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
  }

  private static String withoutBrackets(String host) {
    return host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
  }
}
