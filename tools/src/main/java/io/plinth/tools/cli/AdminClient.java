package io.plinth.tools.cli;

import io.plinth.target.main.ListenAddress;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** Speaks to the admin API. Every failure is a {@link CliException}. */
final class AdminClient {
  private static final int CONNECT_TIMEOUT_MS = 3_000;

  /** Longer than the server lets its node think, so that the server's own answer arrives. */
  private static final int ANSWER_TIMEOUT_MS = 45_000;

  private final ListenAddress address;

  AdminClient(ListenAddress address) {
    this.address = address;
  }

  JsonNode get(String path) {
    return call("GET", path, null);
  }

  JsonNode post(String path, JsonNode body) {
    return call("POST", path, Json.oneLine(body));
  }

  JsonNode delete(String path) {
    return call("DELETE", path, null);
  }

  /** Returns the path of a volume, or of what is below it. */
  static String volume(String name, String... below) {
    StringBuilder path = new StringBuilder("/v1/volumes/").append(segment(name));
    for (String part : below) {
      path.append('/').append(segment(part));
    }
    return path.toString();
  }

  /** Returns one part of a path, so written that no name can reach another route. */
  static String segment(String name) {
    return URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
  }

  private JsonNode call(String method, String path, String body) {
    int status;
    String text;
    try {
      // The server is near or named by the person: a proxy for the web has no part in this.
      HttpURLConnection connection =
          (HttpURLConnection)
              URI.create("http://" + address + path).toURL().openConnection(Proxy.NO_PROXY);
      connection.setRequestMethod(method);
      connection.setConnectTimeout(CONNECT_TIMEOUT_MS);
      connection.setReadTimeout(ANSWER_TIMEOUT_MS);
      connection.setRequestProperty("Connection", "close");
      if (body != null) {
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "application/json");
        try (OutputStream out = connection.getOutputStream()) {
          out.write(body.getBytes(StandardCharsets.UTF_8));
        }
      }
      status = connection.getResponseCode();
      text = read(status >= 400 ? connection.getErrorStream() : connection.getInputStream());
    } catch (IOException | IllegalArgumentException e) {
      throw unreachable(e);
    }
    return interpret(status, text);
  }

  private JsonNode interpret(int status, String text) {
    JsonNode document;
    try {
      document = Json.parse(text);
    } catch (JacksonException e) {
      throw notPlinth(e);
    }
    if (status < 400) {
      return document;
    }
    JsonNode error = document.path("error");
    if (!error.path("code").isString() || !error.path("message").isString()) {
      throw notPlinth(null);
    }
    throw new CliException(
        ExitCodes.FAILED,
        error.get("code").stringValue(),
        error.get("message").stringValue(),
        null);
  }

  private static String read(InputStream stream) throws IOException {
    if (stream == null) {
      return "";
    }
    try (stream) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private CliException unreachable(Exception cause) {
    String reason =
        switch (cause) {
          case ConnectException e -> "connection refused";
          case UnknownHostException e -> "no such host";
          case SocketTimeoutException e -> "no answer in time";
          default -> String.valueOf(cause.getMessage());
        };
    return new CliException(
        ExitCodes.UNREACHABLE,
        "unreachable",
        "no server at "
            + address
            + " ("
            + reason
            + "); start one with 'plinth serve', or name it with --admin",
        cause);
  }

  private CliException notPlinth(Exception cause) {
    return new CliException(
        ExitCodes.UNREACHABLE,
        "unreachable",
        "what listens at " + address + " is not Plinth's admin API",
        cause);
  }
}
