package io.plinth.tools.cli;

import io.plinth.target.main.ListenAddress;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** Speaks to the admin API. Every failure is a {@link CliException}. */
final class AdminClient {
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(3);

  /** Longer than the server lets its node think, so that the server's own answer arrives. */
  private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(45);

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

  JsonNode patch(String path, JsonNode body) {
    return call("PATCH", path, Json.oneLine(body));
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
    // The server is near or named by the person: a proxy for the web has no part in this.
    try (HttpClient client =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .proxy(HttpClient.Builder.NO_PROXY)
            .connectTimeout(CONNECT_TIMEOUT)
            // In a cluster another node may be the one to ask.
            .followRedirects(HttpClient.Redirect.ALWAYS)
            .build()) {
      HttpRequest.Builder request =
          HttpRequest.newBuilder(URI.create("http://" + address + path)).timeout(ANSWER_TIMEOUT);
      if (body == null) {
        request.method(method, HttpRequest.BodyPublishers.noBody());
      } else {
        request
            .method(method, HttpRequest.BodyPublishers.ofString(body))
            .header("Content-Type", "application/json");
      }
      HttpResponse<String> answer =
          client.send(request.build(), HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
      return interpret(answer.statusCode(), answer.body());
    } catch (IOException | IllegalArgumentException e) {
      throw unreachable(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unreachable(e);
    }
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

  private CliException unreachable(Exception cause) {
    String reason =
        switch (cause) {
          case ConnectException e when isUnresolved(e) -> "no such host";
          case ConnectException e -> "connection refused";
          case HttpTimeoutException e -> "no answer in time";
          case InterruptedException e -> "interrupted";
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

  /** The client says so in a cause of a cause only. */
  private static boolean isUnresolved(Throwable failure) {
    Throwable cause = failure;
    while (cause != null && !(cause instanceof UnresolvedAddressException)) {
      cause = cause.getCause();
    }
    return cause != null;
  }

  private CliException notPlinth(Exception cause) {
    return new CliException(
        ExitCodes.UNREACHABLE,
        "unreachable",
        "what listens at " + address + " is not Plinth's admin API",
        cause);
  }
}
