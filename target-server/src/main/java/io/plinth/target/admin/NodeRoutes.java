package io.plinth.target.admin;

import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** What is below {@code /v1/nodes}: the nodes of a cluster, and what is decided about them. */
final class NodeRoutes {
  private final NodeControl control;

  NodeRoutes(NodeControl control) {
    this.control = control;
  }

  /** Answers a request; null when there is no such route. */
  CompletableFuture<Reply> handle(
      FullHttpRequest request, QueryStringDecoder uri, List<String> path) {
    if (path.isEmpty()) {
      Query _ = Query.of(uri);
      if (request.method().equals(HttpMethod.POST)) {
        return join(request);
      }
      return request.method().equals(HttpMethod.GET)
          ? control.nodesInfo().thenApply(info -> Reply.of(200, info))
          : wrongMethod(request, "GET, POST");
    }
    if (path.size() != 2) {
      return null;
    }
    int node = node(path.get(0));
    return switch (path.get(1)) {
      case "drain" -> drain(request, uri, node);
      case "undrain" -> change(request, uri, "{}", control::undrainNode, node);
      case "remove" -> remove(request, uri, node);
      default -> null;
    };
  }

  private CompletableFuture<Reply> join(FullHttpRequest request) {
    RequestBody body =
        body(
            request,
            "{\"node\": 4, \"address\": \"10.0.0.4:10830\", \"admin\": \"10.0.0.4:10810\"}",
            "node",
            "address",
            "admin",
            "rack");
    JoinSpec spec =
        new JoinSpec(
            body.node("node"),
            body.string("address"),
            body.string("admin"),
            body.has("rack") ? body.string("rack") : "");
    return control.admitNode(spec).thenApply(outcome -> Reply.of(200, outcome));
  }

  private interface Change {
    CompletableFuture<NodesInfo.Outcome> make(int node);
  }

  private static CompletableFuture<Reply> change(
      FullHttpRequest request, QueryStringDecoder uri, String example, Change change, int node) {
    if (!request.method().equals(HttpMethod.POST)) {
      return wrongMethod(request, "POST");
    }
    Query _ = Query.of(uri);
    RequestBody _ = body(request, example);
    return change.make(node).thenApply(outcome -> Reply.of(200, outcome));
  }

  private CompletableFuture<Reply> drain(
      FullHttpRequest request, QueryStringDecoder uri, int node) {
    if (!request.method().equals(HttpMethod.POST)) {
      return wrongMethod(request, "POST");
    }
    Query _ = Query.of(uri);
    RequestBody body = body(request, "{\"replacement\": 4}", "replacement", "dryRun");
    int replacement = body.has("replacement") ? body.node("replacement") : 0;
    return control
        .drainNode(node, replacement, body.flag("dryRun"))
        .thenApply(outcome -> Reply.of(200, outcome));
  }

  private CompletableFuture<Reply> remove(
      FullHttpRequest request, QueryStringDecoder uri, int node) {
    if (!request.method().equals(HttpMethod.POST)) {
      return wrongMethod(request, "POST");
    }
    Query _ = Query.of(uri);
    boolean lost = body(request, "{\"lost\": true}", "lost").flag("lost");
    return control.removeNode(node, lost).thenApply(outcome -> Reply.of(200, outcome));
  }

  private static RequestBody body(FullHttpRequest request, String example, String... fields) {
    return RequestBody.parse(request.content().toString(StandardCharsets.UTF_8), example, fields);
  }

  private static int node(String text) {
    boolean isNumber = text.matches("[0-9]{1,5}");
    int node = isNumber ? Integer.parseInt(text) : 0;
    if (node < 1 || node > RequestBody.MAXIMUM_NODE) {
      throw new ControlException(
          ControlException.Kind.INVALID,
          "bad node " + text + ": expected 1 to " + RequestBody.MAXIMUM_NODE);
    }
    return node;
  }

  private static CompletableFuture<Reply> wrongMethod(FullHttpRequest request, String allowed) {
    return CompletableFuture.completedFuture(AdminRoutes.wrongMethod(request.method(), allowed));
  }
}
