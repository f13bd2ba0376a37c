package io.plinth.target.admin;

import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds what a request asks for and asks the node. Knows nothing of connections. */
final class AdminRoutes {
  private static final Logger LOG = LoggerFactory.getLogger(AdminRoutes.class);
  private static final int LONGEST_ECHO = 100;

  private final NodeControl control;

  private record Volumes<T>(List<T> volumes) {}

  private record Deleted(String deleted) {}

  AdminRoutes(NodeControl control) {
    this.control = control;
  }

  /**
   * Answers one request; the future fails only as {@link #failure} explains. Does not keep {@code
   * request}.
   */
  CompletableFuture<Reply> handle(FullHttpRequest request) {
    try {
      return route(request);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  /**
   * Turns a failure of the node into a reply; what is not a {@link ControlException} is logged as
   * our own fault.
   */
  static Reply failure(Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof ControlException refused) {
      return Reply.error(refused.kind(), String.valueOf(refused.getMessage()));
    }
    LOG.error("admin request failed", cause);
    return Reply.error(500, "internal", "internal error; the server's log has the details");
  }

  private CompletableFuture<Reply> route(FullHttpRequest request) {
    if (!isOurHost(request.headers().get(HttpHeaderNames.HOST))) {
      return done(Reply.error(403, "forbidden", "the Host header must be an address or localhost"));
    }
    QueryStringDecoder uri = new QueryStringDecoder(request.uri());
    String[] path = uri.rawPath().split("/", -1);
    // path[0] is empty: the path starts with a slash.
    if (path.length < 3 || path.length > 4 || !path[0].isEmpty() || !path[1].equals("v1")) {
      return done(unknownRoute(uri));
    }
    HttpMethod method = request.method();
    boolean named = path.length == 4;
    String name = named ? QueryStringDecoder.decodeComponent(path[3]) : null;
    return switch (path[2]) {
      case "node" -> named ? done(unknownRoute(uri)) : node(method);
      case "volumes" -> named ? volume(method, name, uri) : volumes(method, request);
      case "stats" -> stats(method, name);
      default -> done(unknownRoute(uri));
    };
  }

  private CompletableFuture<Reply> node(HttpMethod method) {
    if (!method.equals(HttpMethod.GET)) {
      return done(wrongMethod(method, "GET"));
    }
    return control.nodeInfo().thenApply(info -> Reply.of(200, info));
  }

  private CompletableFuture<Reply> volumes(HttpMethod method, FullHttpRequest request) {
    if (method.equals(HttpMethod.GET)) {
      return control.listVolumes().thenApply(list -> Reply.of(200, new Volumes<>(list)));
    }
    if (!method.equals(HttpMethod.POST)) {
      return done(wrongMethod(method, "GET, POST"));
    }
    // A page in a browser cannot send this type to another site without asking first, and nobody
    // would answer it.
    String type = request.headers().get(HttpHeaderNames.CONTENT_TYPE, "");
    if (!type.split(";", 2)[0].strip().equalsIgnoreCase("application/json")) {
      return done(Reply.error(415, "invalid", "the Content-Type must be application/json"));
    }
    VolumeSpec spec = VolumeSpecDecoder.decode(request.content().toString(StandardCharsets.UTF_8));
    return control
        .createVolume(spec)
        .thenApply(
            info -> Reply.of(201, info).withHeader("Location", "/v1/volumes/" + info.name()));
  }

  private CompletableFuture<Reply> volume(HttpMethod method, String name, QueryStringDecoder uri) {
    if (method.equals(HttpMethod.GET)) {
      checkName(name);
      return control.showVolume(name).thenApply(info -> Reply.of(200, info));
    }
    if (!method.equals(HttpMethod.DELETE)) {
      return done(wrongMethod(method, "GET, DELETE"));
    }
    checkName(name);
    return control
        .deleteVolume(name, isForced(uri))
        .thenApply(nothing -> Reply.of(200, new Deleted(name)));
  }

  private CompletableFuture<Reply> stats(HttpMethod method, String name) {
    if (!method.equals(HttpMethod.GET)) {
      return done(wrongMethod(method, "GET"));
    }
    if (name == null) {
      return control.stats(null).thenApply(list -> Reply.of(200, new Volumes<>(list)));
    }
    checkName(name);
    return control.stats(name).thenApply(list -> Reply.of(200, list.getFirst()));
  }

  private static boolean isForced(QueryStringDecoder uri) {
    for (Map.Entry<String, List<String>> parameter : uri.parameters().entrySet()) {
      String value = parameter.getValue().getLast();
      if (!parameter.getKey().equals("force") || !(value.equals("true") || value.equals("false"))) {
        throw new ControlException(
            ControlException.Kind.INVALID,
            "unknown parameter '"
                + shorten(parameter.getKey())
                + "': only force=true and force=false are known");
      }
    }
    return uri.parameters().getOrDefault("force", List.of("false")).getLast().equals("true");
  }

  private static void checkName(String name) {
    try {
      VolumeSpec.checkName(name);
    } catch (IllegalArgumentException e) {
      throw invalid(e);
    }
  }

  static ControlException invalid(IllegalArgumentException cause) {
    ControlException invalid =
        new ControlException(ControlException.Kind.INVALID, cause.getMessage());
    invalid.initCause(cause);
    return invalid;
  }

  /**
   * Refuses names other than localhost: a web page whose name was made to point at this machine
   * (DNS rebinding) would otherwise speak to the API through its visitor's browser.
   */
  private static boolean isOurHost(String header) {
    if (header == null) {
      return true;
    }
    String host =
        header.startsWith("[")
            ? header.replaceFirst("].*", "]")
            : header.replaceFirst(":[0-9]*$", "");
    return host.equalsIgnoreCase("localhost") || host.startsWith("[") || host.matches("[0-9.]+");
  }

  private static Reply unknownRoute(QueryStringDecoder uri) {
    return Reply.error(
        404,
        "unknown_route",
        "nothing at " + shorten(uri.rawPath()) + "; the API begins at /v1/node");
  }

  private static Reply wrongMethod(HttpMethod method, String allowed) {
    return Reply.error(
            405, "wrong_method", "not " + shorten(method.name()) + " here, but " + allowed)
        .withHeader("Allow", allowed);
  }

  private static CompletableFuture<Reply> done(Reply reply) {
    return CompletableFuture.completedFuture(reply);
  }

  private static String shorten(String text) {
    return text.length() <= LONGEST_ECHO ? text : text.substring(0, LONGEST_ECHO) + "...";
  }
}
