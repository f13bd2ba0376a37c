package io.plinth.target.admin;

import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds what a request asks for and asks the node. Knows nothing of connections. */
final class AdminRoutes {
  private static final Logger LOG = LoggerFactory.getLogger(AdminRoutes.class);
  private static final int LONGEST_ECHO = 100;

  private final NodeControl control;
  private final VolumeRoutes volumes;
  private final NodeRoutes nodes;

  private record Statistics(List<VolumeStats> volumes) {}

  AdminRoutes(NodeControl control) {
    this.control = control;
    this.volumes = new VolumeRoutes(control);
    this.nodes = new NodeRoutes(control);
  }

  /**
   * Answers one request; the future fails only as {@link #failure} explains. Does not keep {@code
   * request}.
   */
  CompletableFuture<Reply> handle(FullHttpRequest request) {
    String uri = request.uri();
    try {
      return route(request).exceptionallyCompose(failure -> elsewhere(failure, uri));
    } catch (IllegalArgumentException e) {
      // What the checks of names and sizes say.
      return done(Reply.error(ControlException.Kind.INVALID, e.getMessage()));
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  /** Sends who has asked the wrong node to the right one. */
  private static CompletableFuture<Reply> elsewhere(Throwable failure, String uri) {
    Throwable cause = failure.getCause() == null ? failure : failure.getCause();
    if (cause instanceof ControlException e && e.location() != null) {
      return done(
          Reply.error(e.kind(), String.valueOf(e.getMessage()))
              .withHeader("Location", "http://" + e.location() + uri));
    }
    return CompletableFuture.failedFuture(failure);
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
    List<String> path = List.of(uri.rawPath().split("/", -1));
    // The first part is empty: the path starts with a slash.
    if (path.size() < 3 || !path.get(0).isEmpty() || !path.get(1).equals("v1")) {
      return done(unknownRoute(uri));
    }
    HttpMethod method = request.method();
    boolean hasBody = method.equals(HttpMethod.POST) || method.equals(HttpMethod.PATCH);
    if (hasBody && !isJson(request)) {
      return done(Reply.error(415, "invalid", "the Content-Type must be application/json"));
    }
    List<String> rest =
        path.stream().skip(3).map(part -> QueryStringDecoder.decodeComponent(part)).toList();
    CompletableFuture<Reply> reply =
        switch (path.get(2)) {
          case "node" -> rest.isEmpty() ? node(method) : null;
          case "volumes" -> volumes.handle(request, uri, rest);
          case "stats" ->
              rest.size() > 1 ? null : stats(method, rest.isEmpty() ? null : rest.getFirst());
          case "cluster" -> rest.isEmpty() ? cluster(method) : null;
          case "nodes" -> nodes.handle(request, uri, rest);
          case "scrub" -> rest.isEmpty() ? scrub(request, uri) : null;
          default -> null;
        };
    return reply == null ? done(unknownRoute(uri)) : reply;
  }

  private CompletableFuture<Reply> node(HttpMethod method) {
    if (!method.equals(HttpMethod.GET)) {
      return done(wrongMethod(method, "GET"));
    }
    return control.nodeInfo().thenApply(info -> Reply.of(200, info));
  }

  private CompletableFuture<Reply> cluster(HttpMethod method) {
    if (!method.equals(HttpMethod.GET)) {
      return done(wrongMethod(method, "GET"));
    }
    return control.clusterInfo().thenApply(info -> Reply.of(200, info));
  }

  private CompletableFuture<Reply> scrub(FullHttpRequest request, QueryStringDecoder uri) {
    Query _ = Query.of(uri);
    CompletableFuture<ScrubInfo> info;
    if (request.method().equals(HttpMethod.GET)) {
      info = control.scrubInfo();
    } else if (request.method().equals(HttpMethod.DELETE)) {
      info = control.stopScrub();
    } else if (request.method().equals(HttpMethod.POST)) {
      if (request.content().isReadable()) {
        RequestBody _ = RequestBody.parse(request.content().toString(StandardCharsets.UTF_8), "{}");
      }
      info = control.startScrub();
    } else {
      return done(wrongMethod(request.method(), "GET, POST, DELETE"));
    }
    return info.thenApply(answer -> Reply.of(200, answer));
  }

  private CompletableFuture<Reply> stats(HttpMethod method, String name) {
    if (!method.equals(HttpMethod.GET)) {
      return done(wrongMethod(method, "GET"));
    }
    if (name == null) {
      return control.stats(null).thenApply(list -> Reply.of(200, new Statistics(list)));
    }
    VolumeSpec.checkName(name);
    return control.stats(name).thenApply(list -> Reply.of(200, list.getFirst()));
  }

  /**
   * Returns whether a body says that it is JSON. A page in a browser cannot send this type to
   * another site without asking first, and nobody would answer it.
   */
  private static boolean isJson(FullHttpRequest request) {
    String type = request.headers().get(HttpHeaderNames.CONTENT_TYPE, "");
    return type.split(";", 2)[0].strip().equalsIgnoreCase("application/json");
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

  static Reply unknownRoute(QueryStringDecoder uri) {
    return Reply.error(
        404,
        "unknown_route",
        "nothing at " + shorten(uri.rawPath()) + "; the API begins at /v1/node");
  }

  static Reply wrongMethod(HttpMethod method, String allowed) {
    return Reply.error(
            405, "wrong_method", "not " + shorten(method.name()) + " here, but " + allowed)
        .withHeader("Allow", allowed);
  }

  static CompletableFuture<Reply> done(Reply reply) {
    return CompletableFuture.completedFuture(reply);
  }

  static String shorten(String text) {
    return text.length() <= LONGEST_ECHO ? text : text.substring(0, LONGEST_ECHO) + "...";
  }
}
