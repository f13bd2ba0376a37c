package io.plinth.target.admin;

import static io.plinth.target.admin.AdminRoutes.done;
import static io.plinth.target.admin.AdminRoutes.wrongMethod;

import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.Moment;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;

/** The part of the API below {@code /v1/volumes}. */
final class VolumeRoutes {
  private static final String NEW_VOLUME = "{\"name\": \"demo\", \"size\": \"1G\"}";
  private static final String NEW_SNAPSHOT = "{\"name\": \"monday\"}";
  private static final String ROLLBACK = "{\"snapshot\": \"monday\"}";
  private static final String LEADER = "{\"node\": 2}";
  private static final String RESTORE =
      "{\"name\": \"before\", \"time\": \"2026-11-25T14:30:00Z\"}";
  private static final String CHANGE = "{\"description\": \"mail, old server\"}";
  private static final String RESIZE = "{\"size\": \"2G\"}";

  private static final int DEFAULT_EXTENTS = 1000;
  private static final int MAXIMUM_EXTENTS = 10_000;

  private final NodeControl control;

  private record Volumes(List<VolumeInfo> volumes) {}

  private record Snapshots(List<SnapshotInfo> snapshots) {}

  private record Deleted(String deleted) {}

  VolumeRoutes(NodeControl control) {
    this.control = control;
  }

  /**
   * Answers a request.
   *
   * @param path what follows {@code /v1/volumes}
   * @return null when there is nothing at the path
   */
  CompletableFuture<Reply> handle(
      FullHttpRequest request, QueryStringDecoder uri, List<String> path) {
    if (path.isEmpty()) {
      return volumes(request, uri);
    }
    String volume = path.get(0);
    if (path.size() == 1) {
      return volume(request, uri, volume);
    }
    return switch (path.get(1)) {
      case "snapshots" ->
          switch (path.size()) {
            case 2 -> snapshots(request, uri, volume);
            case 3 -> snapshot(request, uri, volume, path.get(2));
            default -> null;
          };
      case "rollback" -> path.size() == 2 ? rollback(request, uri, volume) : null;
      case "restore" -> path.size() == 2 ? restore(request, uri, volume) : null;
      case "diff" -> path.size() == 2 ? diff(request, uri, volume) : null;
      case "resize" -> path.size() == 2 ? resize(request, uri, volume) : null;
      case "leader" -> path.size() == 2 ? moveLead(request, uri, volume) : null;
      case "verify" -> path.size() == 2 ? verify(request, uri, volume) : null;
      default -> null;
    };
  }

  private CompletableFuture<Reply> volumes(FullHttpRequest request, QueryStringDecoder uri) {
    if (request.method().equals(HttpMethod.GET)) {
      Query _ = Query.of(uri);
      return control.listVolumes().thenApply(list -> Reply.of(200, new Volumes(list)));
    }
    if (!request.method().equals(HttpMethod.POST)) {
      return done(wrongMethod(request.method(), "GET, POST"));
    }
    Query _ = Query.of(uri);
    RequestBody body =
        body(
            request,
            NEW_VOLUME,
            "name",
            "size",
            "flushPolicy",
            "clone-of",
            "replicas",
            "description",
            "tls",
            "tls-allow");
    return created(create(body, policy(body)));
  }

  private static Optional<FlushPolicy> policy(RequestBody body) {
    return body.has("flushPolicy")
        ? Optional.of(FlushPolicy.parse(body.string("flushPolicy")))
        : Optional.empty();
  }

  private static CompletableFuture<Reply> created(CompletableFuture<VolumeInfo> volume) {
    return volume.thenApply(
        info -> Reply.of(201, info).withHeader("Location", "/v1/volumes/" + info.name()));
  }

  private CompletableFuture<Reply> restore(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (!request.method().equals(HttpMethod.POST)) {
      return done(wrongMethod(request.method(), "POST"));
    }
    Query _ = Query.of(uri);
    RequestBody body = body(request, RESTORE, "name", "time", "position", "flushPolicy");
    if (body.has("time") == body.has("position")) {
      throw new ControlException(
          ControlException.Kind.INVALID,
          "expected either field 'time' or field 'position', which say when");
    }
    Moment moment =
        body.has("time")
            ? RestoreSpec.time(body.string("time"))
            : RestoreSpec.position(body.size("position"));
    return created(
        control.restoreVolume(new RestoreSpec(body.string("name"), volume, moment, policy(body))));
  }

  private static OptionalInt replicas(RequestBody body) {
    if (!body.has("replicas")) {
      return OptionalInt.empty();
    }
    long wanted = body.size("replicas");
    if (wanted != 1 && wanted != 3 && wanted != 5) {
      throw new ControlException(
          ControlException.Kind.INVALID,
          "bad number of replicas " + wanted + ": expected 1, 3 or 5");
    }
    return OptionalInt.of((int) wanted);
  }

  private CompletableFuture<VolumeInfo> create(RequestBody body, Optional<FlushPolicy> policy) {
    String name = body.string("name");
    if (!body.has("clone-of")) {
      return control.createVolume(
          new VolumeSpec(
              name,
              body.size("size"),
              policy.orElse(FlushPolicy.FLUSH),
              settings(body).applyTo(VolumeSettings.DEFAULT)),
          replicas(body));
    }
    if (body.has("replicas")) {
      throw new ControlException(
          ControlException.Kind.INVALID,
          "field 'replicas' can't be there together with 'clone-of'");
    }
    for (String key : SettingsChange.Key.words()) {
      if (body.has(key)) {
        throw new ControlException(
            ControlException.Kind.INVALID,
            "field '"
                + key
                + "' can't be there together with 'clone-of': a clone is protected as its source"
                + " is; change it afterwards");
      }
    }
    if (body.has("size")) {
      throw new ControlException(
          ControlException.Kind.INVALID,
          "field 'size' can't be there together with 'clone-of': a clone has the size of its source");
    }
    return control.cloneVolume(new CloneSpec(name, body.string("clone-of"), policy));
  }

  private CompletableFuture<Reply> volume(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (request.method().equals(HttpMethod.GET)) {
      boolean space = Query.of(uri, "space").flag("space");
      VolumeSpec.checkName(volume);
      return control.showVolume(volume, space).thenApply(info -> Reply.of(200, info));
    }
    if (request.method().equals(HttpMethod.PATCH)) {
      return changeSettings(request, uri, volume);
    }
    if (!request.method().equals(HttpMethod.DELETE)) {
      return done(wrongMethod(request.method(), "GET, PATCH, DELETE"));
    }
    boolean force = Query.of(uri, "force").flag("force");
    VolumeSpec.checkName(volume);
    return control
        .deleteVolume(volume, force)
        .thenApply(nothing -> Reply.of(200, new Deleted(volume)));
  }

  private CompletableFuture<Reply> changeSettings(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    Query _ = Query.of(uri);
    VolumeSpec.checkName(volume);
    SettingsChange change =
        settings(body(request, CHANGE, SettingsChange.Key.words().toArray(new String[0])));
    if (change.keys().isEmpty()) {
      throw new ControlException(
          ControlException.Kind.INVALID,
          "nothing to change: expected " + String.join(", ", SettingsChange.Key.words()));
    }
    return control.changeSettings(volume, change).thenApply(info -> Reply.of(200, info));
  }

  /** Reads those of the settings that a body has; null is as when never set. */
  private static SettingsChange settings(RequestBody body) {
    EnumSet<SettingsChange.Key> keys = EnumSet.noneOf(SettingsChange.Key.class);
    String description = null;
    String tls = null;
    List<String> tlsAllow = List.of();
    for (SettingsChange.Key key : SettingsChange.Key.values()) {
      if (body.has(key.word())) {
        keys.add(key);
        switch (key) {
          case DESCRIPTION -> description = body.stringOrNull(key.word());
          case TLS -> tls = body.stringOrNull(key.word());
          case TLS_ALLOW -> tlsAllow = body.stringsOrNull(key.word());
        }
      }
    }
    return new SettingsChange(
        keys,
        new VolumeSettings(
            description == null ? "" : description,
            Optional.ofNullable(tls).map(TlsMode::parse),
            tlsAllow));
  }

  private CompletableFuture<Reply> snapshots(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (request.method().equals(HttpMethod.GET)) {
      boolean space = Query.of(uri, "space").flag("space");
      VolumeSpec.checkName(volume);
      return control
          .listSnapshots(volume, space)
          .thenApply(list -> Reply.of(200, new Snapshots(list)));
    }
    if (!request.method().equals(HttpMethod.POST)) {
      return done(wrongMethod(request.method(), "GET, POST"));
    }
    Query _ = Query.of(uri);
    VolumeSpec.checkName(volume);
    String snapshot = body(request, NEW_SNAPSHOT, "name").string("name");
    VolumeSpec.checkSnapshotName(snapshot);
    return control.createSnapshot(volume, snapshot).thenApply(info -> Reply.of(201, info));
  }

  private CompletableFuture<Reply> snapshot(
      FullHttpRequest request, QueryStringDecoder uri, String volume, String snapshot) {
    if (!request.method().equals(HttpMethod.DELETE)) {
      return done(wrongMethod(request.method(), "DELETE"));
    }
    boolean force = Query.of(uri, "force").flag("force");
    VolumeSpec.checkName(volume);
    VolumeSpec.checkSnapshotName(snapshot);
    return control
        .deleteSnapshot(volume, snapshot, force)
        .thenApply(nothing -> Reply.of(200, new Deleted(volume + "@" + snapshot)));
  }

  private CompletableFuture<Reply> rollback(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (!request.method().equals(HttpMethod.POST)) {
      return done(wrongMethod(request.method(), "POST"));
    }
    Query _ = Query.of(uri);
    VolumeSpec.checkName(volume);
    RequestBody body = body(request, ROLLBACK, "snapshot", "force");
    String snapshot = body.string("snapshot");
    VolumeSpec.checkSnapshotName(snapshot);
    return control
        .rollback(volume, snapshot, body.flag("force"))
        .thenApply(info -> Reply.of(200, info));
  }

  private CompletableFuture<Reply> resize(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (!request.method().equals(HttpMethod.POST)) {
      return done(wrongMethod(request.method(), "POST"));
    }
    Query _ = Query.of(uri);
    VolumeSpec.checkName(volume);
    RequestBody body = body(request, RESIZE, "size", "force");
    long sizeBytes = body.size("size");
    VolumeSpec.checkSize(sizeBytes);
    return control
        .resize(volume, sizeBytes, body.flag("force"))
        .thenApply(info -> Reply.of(200, info));
  }

  private CompletableFuture<Reply> moveLead(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (!request.method().equals(HttpMethod.POST)) {
      return done(wrongMethod(request.method(), "POST"));
    }
    Query _ = Query.of(uri);
    VolumeSpec.checkName(volume);
    int node = body(request, LEADER, "node").node("node");
    return control.moveLead(volume, node).thenApply(info -> Reply.of(200, info));
  }

  private CompletableFuture<Reply> verify(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    Query _ = Query.of(uri);
    VolumeSpec.checkName(volume);
    CompletableFuture<VerifyInfo> info;
    if (request.method().equals(HttpMethod.GET)) {
      info = control.verifyInfo(volume);
    } else if (request.method().equals(HttpMethod.POST)) {
      if (request.content().isReadable()) {
        RequestBody _ = RequestBody.parse(request.content().toString(StandardCharsets.UTF_8), "{}");
      }
      info = control.startVerify(volume);
    } else {
      return done(wrongMethod(request.method(), "GET, POST"));
    }
    return info.thenApply(answer -> Reply.of(200, answer));
  }

  private CompletableFuture<Reply> diff(
      FullHttpRequest request, QueryStringDecoder uri, String volume) {
    if (!request.method().equals(HttpMethod.GET)) {
      return done(wrongMethod(request.method(), "GET"));
    }
    Query query = Query.of(uri, "from", "to", "offset", "limit");
    VolumeSpec.checkName(volume);
    String from = query.text("from");
    if (from == null) {
      throw new ControlException(
          ControlException.Kind.INVALID, "parameter 'from' is missing: the name of a snapshot");
    }
    VolumeSpec.checkSnapshotName(from);
    String to = query.text("to");
    if (to != null) {
      VolumeSpec.checkSnapshotName(to);
    }
    long offset = query.number("offset", 0, 0, VolumeSpec.MAXIMUM_BYTES, Volume.BLOCK_BYTES);
    int limit = (int) query.number("limit", DEFAULT_EXTENTS, 1, MAXIMUM_EXTENTS, 1);
    return control.diff(volume, from, to, offset, limit).thenApply(info -> Reply.of(200, info));
  }

  private static RequestBody body(FullHttpRequest request, String example, String... fields) {
    return RequestBody.parse(request.content().toString(StandardCharsets.UTF_8), example, fields);
  }
}
