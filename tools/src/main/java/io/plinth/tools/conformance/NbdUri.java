package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
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
 * @param pskFile file of pre-shared keys; empty for TLS with certificates
 * @param pskIdentity whose key it is
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
    boolean verifyPeer,
    String pskFile,
    String pskIdentity) {
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
    if (uri.isOpaque() || uri.getFragment() != null) {
      throw new IllegalArgumentException("not an NBD URI: " + text);
    }
    Map<String, String> parameters = parameters(uri.getRawQuery());
    String user = user(uri);
    boolean unix = scheme.endsWith("+unix");
    boolean tls = scheme.startsWith("nbds");
    String socket = parameters.getOrDefault("socket", "");
    if (unix && socket.isEmpty()) {
      throw new IllegalArgumentException(scheme + ":// needs the parameter socket: " + text);
    }
    if (!unix && (uri.getHost() == null || uri.getHost().isEmpty())) {
      throw new IllegalArgumentException("the URI names no host: " + text);
    }
    String pskFile = tls ? pskFile(parameters) : "";
    if (pskFile.isEmpty() != user.isEmpty()) {
      throw new IllegalArgumentException(
          "a name before the @ and tls-psk-file=FILE go together: " + text);
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
        !List.of("0", "false").contains(parameters.getOrDefault("tls-verify-peer", "1")),
        pskFile,
        user);
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

  /** Returns what stands before the host, or before nothing in the URI of a unix socket. */
  private static String user(URI uri) {
    String authority = uri.getRawAuthority() == null ? "" : uri.getRawAuthority();
    int at = authority.lastIndexOf('@');
    return at < 0 ? "" : decode(authority.substring(0, at));
  }

  /** Returns the file of keys; empty for TLS with certificates. */
  private static String pskFile(Map<String, String> parameters) {
    String file = parameters.getOrDefault("tls-psk-file", "");
    String type = parameters.getOrDefault("tls-type", file.isEmpty() ? "x509" : "psk");
    if (!type.equals(file.isEmpty() ? "x509" : "psk")) {
      throw new IllegalArgumentException(
          "tls-type is x509, or psk with tls-psk-file=FILE, not " + type);
    }
    if (!file.isEmpty() && parameters.containsKey("tls-certificates")) {
      throw new IllegalArgumentException("tls-psk-file and tls-certificates exclude each other");
    }
    return file;
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
