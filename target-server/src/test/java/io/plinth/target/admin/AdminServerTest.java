package io.plinth.target.admin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class AdminServerTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int HEADER_LIMIT = 1024;
  private static final int BODY_LIMIT = 2048;

  private final FakeNodeControl control = new FakeNodeControl();
  private final HttpClient client = HttpClient.newHttpClient();
  private AdminServer server;

  private record Answer(int status, JsonNode body, HttpResponse<String> raw) {
    String errorCode() {
      return body.at("/error/code").stringValue();
    }

    String errorMessage() {
      return body.at("/error/message").stringValue();
    }
  }

  @BeforeEach
  void start() throws AdminBindException {
    start(60_000, 60_000, 8);
  }

  @AfterEach
  void stop() {
    server.close();
    client.close();
  }

  private void start(long idleTimeoutMs, long operationTimeoutMs, int maxConnections)
      throws AdminBindException {
    if (server != null) {
      server.close();
    }
    server =
        AdminServer.start(
            control,
            new AdminOptions(
                "127.0.0.1",
                0,
                maxConnections,
                BODY_LIMIT,
                HEADER_LIMIT,
                idleTimeoutMs,
                operationTimeoutMs));
  }

  @Test
  void theNodeTellsWhatItIs() throws Exception {
    Answer answer = call("GET", "/v1/node", null);
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.raw().headers().firstValue("content-type")).contains("application/json");
    assertThat(answer.body().get("state").stringValue()).isEqualTo("running");
    assertThat(answer.body().get("nodeId").stringValue()).isEqualTo("7f3a");
    assertThat(answer.body().at("/listeners/0/address").stringValue()).isEqualTo("127.0.0.1:10809");
    assertThat(answer.body().get("logCapacityBytes").longValue()).isEqualTo(1L << 40);
    assertThat(answer.body().get("recovery").stringValue()).isEqualTo("clean: nothing to replay");
    assertThat(answer.body().get("logs")).hasSize(1);
    assertThat(answer.body().at("/logs/0/core").intValue()).isEqualTo(1);
    assertThat(answer.body().at("/logs/0/segmentBytes").intValue()).isEqualTo(64 << 20);
    assertThat(answer.body().at("/logs/0/segmentsInUse").intValue()).isEqualTo(12);
    assertThat(answer.body().at("/logs/0/segmentsSpare").intValue()).isEqualTo(3);
    assertThat(answer.body().at("/logs/0/segmentsAvailable").intValue()).isEqualTo(40);
    assertThat(answer.body().at("/logs/0/liveBytes").longValue()).isEqualTo(5L << 20);
    assertThat(answer.body().at("/logs/0/checkpoints").longValue()).isEqualTo(6);
    assertThat(answer.body().at("/logs/0/cleanedSegments").longValue()).isEqualTo(7);
    assertThat(answer.body().at("/logs/0/memoryWaits").longValue()).isEqualTo(10);
    assertThat(answer.body().at("/logs/0/segmentWaits").longValue()).isEqualTo(11);
    assertThat(answer.body().at("/logs/0/movedBlocks").longValue()).isEqualTo(8);
    assertThat(answer.body().get("dutyCycles")).hasSize(2);
    assertThat(answer.body().at("/dutyCycles/1/core").intValue()).isEqualTo(1);
    assertThat(answer.body().at("/dutyCycles/1/stalls").longValue()).isEqualTo(2);
    assertThat(answer.body().at("/dutyCycles/1/longestUs").longValue()).isEqualTo(40_123);
  }

  @Test
  void aVolumeIsCreatedShownListedAndDeleted() throws Exception {
    Answer created =
        call(
            "POST",
            "/v1/volumes",
            "{\"name\":\"demo\",\"size\":\"1G\",\"flushPolicy\":\"always\"}");
    assertThat(created.status()).isEqualTo(201);
    assertThat(created.raw().headers().firstValue("location")).contains("/v1/volumes/demo");
    assertThat(created.body().get("sizeBytes").longValue()).isEqualTo(1L << 30);
    assertThat(created.body().get("flushPolicy").stringValue()).isEqualTo("always");

    assertThat(call("GET", "/v1/volumes/demo", null).body()).isEqualTo(created.body());
    Answer list = call("GET", "/v1/volumes", null);
    assertThat(list.status()).isEqualTo(200);
    assertThat(list.body().get("volumes")).containsExactly(created.body());

    Answer deleted = call("DELETE", "/v1/volumes/demo", null);
    assertThat(deleted.status()).isEqualTo(200);
    assertThat(deleted.body().get("deleted").stringValue()).isEqualTo("demo");
    assertThat(call("GET", "/v1/volumes", null).body().get("volumes")).isEmpty();
  }

  @Test
  void settingsAreGivenChangedAndUnset() throws Exception {
    Answer created =
        call(
            "POST",
            "/v1/volumes",
            "{\"name\":\"demo\",\"size\":\"1G\",\"description\":\"mail\",\"tls\":\"required\","
                + "\"tls-allow\":[\"CN=backup,O=Example\"]}");
    assertThat(created.status()).isEqualTo(201);
    assertThat(created.body().get("description").stringValue()).isEqualTo("mail");
    assertThat(created.body().get("tls").stringValue()).isEqualTo("required");
    assertThat(created.body().at("/tls-allow/0").stringValue()).isEqualTo("CN=backup,O=Example");

    Answer changed = call("PATCH", "/v1/volumes/demo", "{\"tls\":\"off\",\"description\":null}");
    assertThat(changed.status()).isEqualTo(200);
    assertThat(changed.body().get("description").isNull()).isTrue();
    assertThat(changed.body().get("tls").stringValue()).isEqualTo("off");
    assertThat(changed.body().get("tls-allow")).hasSize(1);
    assertThat(call("GET", "/v1/volumes/demo", null).body()).isEqualTo(changed.body());

    Answer unset = call("PATCH", "/v1/volumes/demo", "{\"tls\":null,\"tls-allow\":null}");
    assertThat(unset.body().get("tls").isNull()).isTrue();
    assertThat(unset.body().get("tls-allow")).isEmpty();
    Answer plain = call("POST", "/v1/volumes", "{\"name\":\"p\",\"size\":\"1G\"}");
    assertThat(plain.body().get("tls").isNull()).isTrue();
    assertThat(call("PATCH", "/v1/volumes/none", "{\"tls\":\"off\"}").status()).isEqualTo(404);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {}                        | nothing to change: expected description, tls, tls-allow
          {"size":1}                | unknown field 'size': expected description, tls, tls-allow
          {"tls":"on"}              | bad TLS mode "on": expected "off", "allowed" or "required"
          {"tls":true}              | field 'tls' must be a string
          {"description":7}         | field 'description' must be a string
          {"description":"a\\u0007"} | bad description: it has a control character, U+0007
          {"tls-allow":"CN=a"}      | field 'tls-allow' must be a list of strings
          {"tls-allow":["CN=a",1]}  | field 'tls-allow' must be a list of strings
          {"tls-allow":{}}          | field 'tls-allow' must be a list of strings
          {"tls-allow":["a"]}       | bad name 1 in tls-allow: expected a distinguished name such as "CN=backup,O=Example" or psk:IDENTITY
          """)
  void badSettingsAreRefusedAndChangeNothing(String body, String message) throws Exception {
    call("POST", "/v1/volumes", "{\"name\":\"demo\",\"size\":\"1G\",\"description\":\"mail\"}");
    Answer before = call("GET", "/v1/volumes/demo", null);
    Answer refused = call("PATCH", "/v1/volumes/demo", body);
    assertThat(refused.status()).isEqualTo(400);
    assertThat(refused.errorMessage()).isEqualTo(message);
    assertThat(call("GET", "/v1/volumes/demo", null).body()).isEqualTo(before.body());
  }

  @Test
  void aCloneTakesItsProtectionFromItsSource() throws Exception {
    call("POST", "/v1/volumes", "{\"name\":\"demo\",\"size\":\"1G\"}");
    call("PATCH", "/v1/volumes/demo", "{\"description\":\"mail\",\"tls\":\"required\"}");
    Answer clone = call("POST", "/v1/volumes", "{\"name\":\"copy\",\"clone-of\":\"demo\"}");
    assertThat(clone.body().get("tls").stringValue()).isEqualTo("required");
    assertThat(clone.body().get("description").isNull()).isTrue();
    for (String setting : List.of("\"tls\":\"off\"", "\"description\":\"x\"", "\"tls-allow\":[]")) {
      Answer refused =
          call("POST", "/v1/volumes", "{\"name\":\"c\",\"clone-of\":\"demo\"," + setting + "}");
      assertThat(refused.status()).isEqualTo(400);
      assertThat(refused.errorMessage()).contains("can't be there together with 'clone-of'");
    }
    assertThat(call("GET", "/v1/volumes/c", null).status()).isEqualTo(404);
  }

  @Test
  void spaceIsCountedWhenAskedFor() throws Exception {
    call("POST", "/v1/volumes", "{\"name\":\"demo\",\"size\":\"1G\"}");
    call("POST", "/v1/volumes/demo/snapshots", "{\"name\":\"s\"}");
    assertThat(call("GET", "/v1/volumes/demo", null).body().get("space").isNull()).isTrue();
    Answer counted = call("GET", "/v1/volumes/demo?space=true", null);
    assertThat(counted.body().at("/space/uniqueBytes").longValue()).isEqualTo(819);
    assertThat(counted.body().at("/space/sharedBytes").longValue()).isEqualTo(3277);
    assertThat(counted.body().at("/space/exact").booleanValue()).isTrue();
    Answer snapshots = call("GET", "/v1/volumes/demo/snapshots?space=true", null);
    assertThat(snapshots.body().at("/snapshots/0/space/uniqueBytes").longValue()).isEqualTo(819);
    assertThat(call("GET", "/v1/volumes/demo?space=maybe", null).status()).isEqualTo(400);
    assertThat(call("GET", "/v1/volumes?space=true", null).status()).isEqualTo(400);
  }

  @Test
  void aScrubIsStartedAskedForAndStopped() throws Exception {
    assertThat(call("GET", "/v1/scrub", null).body().get("state").stringValue()).isEqualTo("idle");
    Answer started = call("POST", "/v1/scrub", "{}");
    assertThat(started.status()).isEqualTo(200);
    assertThat(started.body().at("/logs/0/state").stringValue()).isEqualTo("running");
    Answer stopped = call("DELETE", "/v1/scrub", null);
    assertThat(stopped.body().get("state").stringValue()).isEqualTo("idle");
    assertThat(call("POST", "/v1/scrub", "{\"fast\":true}").status()).isEqualTo(400);
    assertThat(call("POST", "/v1/scrub?fast=true", "{}").status()).isEqualTo(400);
    assertThat(call("PUT", "/v1/scrub", "{}").status()).isEqualTo(405);
    assertThat(call("GET", "/v1/scrub/0", null).status()).isEqualTo(404);
  }

  @Test
  void aSizeMayBeANumberOfBytesAndThePolicyMayBeLeftOut() throws Exception {
    Answer created = call("POST", "/v1/volumes", "{\"name\":\"a\",\"size\":8192}");
    assertThat(created.body().get("sizeBytes").longValue()).isEqualTo(8192);
    assertThat(created.body().get("flushPolicy").stringValue()).isEqualTo("flush");
  }

  @Test
  void aSnapshotIsTakenListedAndDeleted() throws Exception {
    create("a");
    create("b");
    Answer taken = call("POST", "/v1/volumes/a/snapshots", "{\"name\":\"mon\"}");
    assertThat(taken.status()).isEqualTo(201);
    assertThat(taken.body().get("name").stringValue()).isEqualTo("mon");
    assertThat(taken.body().get("createdMs").longValue()).isEqualTo(1_767_225_600_000L);
    assertThat(taken.body().get("sizeBytes").longValue()).isEqualTo(1 << 20);
    assertError(
        call("POST", "/v1/volumes/a/snapshots", "{\"name\":\"mon\"}"),
        409,
        "already_exists",
        "exists already");

    Answer list = call("GET", "/v1/volumes/a/snapshots", null);
    assertThat(list.status()).isEqualTo(200);
    assertThat(list.body().get("snapshots")).containsExactly(taken.body());
    assertThat(call("GET", "/v1/volumes/b/snapshots", null).body().get("snapshots")).isEmpty();
    assertThat(call("GET", "/v1/volumes/a", null).body().get("snapshots").intValue()).isEqualTo(1);

    control.attach("a", 1);
    assertError(
        call("DELETE", "/v1/volumes/a/snapshots/mon", null), 409, "in_use", "clients attached");
    Answer deleted = call("DELETE", "/v1/volumes/a/snapshots/mon?force=true", null);
    assertThat(deleted.status()).isEqualTo(200);
    assertThat(deleted.body().get("deleted").stringValue()).isEqualTo("a@mon");
    assertThat(call("GET", "/v1/volumes/a/snapshots", null).body().get("snapshots")).isEmpty();
  }

  @Test
  void aVolumeIsMadeOfWhatAnotherOneWas() throws Exception {
    create("a");
    Answer then = call("POST", "/v1/volumes/a/restore", "{\"name\":\"b\",\"position\":17}");
    assertThat(then.status()).isEqualTo(201);
    assertThat(then.raw().headers().firstValue("location")).contains("/v1/volumes/b");
    assertThat(then.body().at("/history/position").longValue()).isEqualTo(4711);
    assertThat(
            call(
                    "POST",
                    "/v1/volumes/a/restore",
                    "{\"name\":\"c\",\"time\":\"2026-11-25T14:30:00Z\"}")
                .status())
        .isEqualTo(201);
    assertThat(call("POST", "/v1/volumes/a/restore", "{\"name\":\"d\",\"position\":3}").status())
        .isEqualTo(400);
    assertThat(call("POST", "/v1/volumes/x/restore", "{\"name\":\"d\",\"position\":30}").status())
        .isEqualTo(404);
    assertThat(call("GET", "/v1/volumes/a/restore", null).status()).isEqualTo(405);
  }

  @Test
  void aCloneHasTheSizeAndThePolicyOfItsSourceUnlessAPolicyIsNamed() throws Exception {
    Answer _ =
        call("POST", "/v1/volumes", "{\"name\":\"a\",\"size\":8192,\"flushPolicy\":\"always\"}");
    Answer _ = call("POST", "/v1/volumes/a/snapshots", "{\"name\":\"s\"}");
    Answer clone = call("POST", "/v1/volumes", "{\"name\":\"b\",\"clone-of\":\"a@s\"}");
    assertThat(clone.status()).isEqualTo(201);
    assertThat(clone.raw().headers().firstValue("location")).contains("/v1/volumes/b");
    assertThat(clone.body().get("sizeBytes").longValue()).isEqualTo(8192);
    assertThat(clone.body().get("flushPolicy").stringValue()).isEqualTo("always");
    Answer other =
        call(
            "POST", "/v1/volumes", "{\"name\":\"c\",\"clone-of\":\"a\",\"flushPolicy\":\"flush\"}");
    assertThat(other.body().get("flushPolicy").stringValue()).isEqualTo("flush");
  }

  @Test
  void aVolumeIsRolledBackAndResized() throws Exception {
    create("a");
    Answer _ = call("POST", "/v1/volumes/a/snapshots", "{\"name\":\"s\"}");
    Answer resized = call("POST", "/v1/volumes/a/resize", "{\"size\":\"2M\"}");
    assertThat(resized.status()).isEqualTo(200);
    assertThat(resized.body().get("sizeBytes").longValue()).isEqualTo(2 << 20);
    control.attach("a", 1);
    assertError(
        call("POST", "/v1/volumes/a/rollback", "{\"snapshot\":\"s\"}"),
        409,
        "in_use",
        "clients attached");
    assertError(
        call("POST", "/v1/volumes/a/resize", "{\"size\":4096,\"force\":false}"),
        409,
        "in_use",
        "clients attached");
    Answer rolled = call("POST", "/v1/volumes/a/rollback", "{\"snapshot\":\"s\",\"force\":true}");
    assertThat(rolled.status()).isEqualTo(200);
    assertThat(rolled.body().get("sizeBytes").longValue()).isEqualTo(1 << 20);
  }

  @Test
  void whatHasChangedSinceASnapshotIsToldInParts() throws Exception {
    create("a");
    Answer _ = call("POST", "/v1/volumes/a/snapshots", "{\"name\":\"s\"}");
    Answer all = call("GET", "/v1/volumes/a/diff?from=s", null);
    assertThat(all.status()).isEqualTo(200);
    assertThat(all.body())
        .isEqualTo(
            JSON.readTree(
                """
                {"volume": "a", "from": "s", "to": null, "sizeBytes": 1048576,
                 "extents": [{"offset": 4096, "length": 4096, "kind": "data"},
                             {"offset": 8192, "length": 4096, "kind": "zero"}],
                 "next": null}
                """));
    Answer first = call("GET", "/v1/volumes/a/diff?from=s&to=s&limit=1", null);
    assertThat(first.body().get("to").stringValue()).isEqualTo("s");
    assertThat(first.body().get("extents")).hasSize(1);
    assertThat(first.body().get("next").intValue()).isEqualTo(8192);
    Answer second = call("GET", "/v1/volumes/a/diff?from=s&to=s&limit=1&offset=8192", null);
    assertThat(second.body().at("/extents/0/kind").stringValue()).isEqualTo("zero");
    assertThat(second.body().get("next").isNull()).isTrue();
  }

  @Test
  void statisticsAreThereForAllVolumesAndForOne() throws Exception {
    create("a");
    create("b");
    Answer all = call("GET", "/v1/stats", null);
    assertThat(all.body().get("volumes")).hasSize(2);
    Answer one = call("GET", "/v1/stats/b", null);
    assertThat(one.status()).isEqualTo(200);
    assertThat(one.body().get("name").stringValue()).isEqualTo("b");
    assertThat(one.body().at("/operations/0/operation").stringValue()).isEqualTo("read");
    assertThat(one.body().at("/operations/0/p999Ns").longValue()).isEqualTo(4);
  }

  @Test
  void aVolumeInUseIsDeletedOnlyByForce() throws Exception {
    create("a");
    control.attach("a", 2);
    assertError(call("DELETE", "/v1/volumes/a", null), 409, "in_use", "has clients attached");
    assertError(
        call("DELETE", "/v1/volumes/a?force=false", null), 409, "in_use", "has clients attached");
    assertThat(call("DELETE", "/v1/volumes/a?force=true", null).status()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource({
    "GET, /v1/volumes/none, 404, not_found",
    "DELETE, /v1/volumes/none, 404, not_found",
    "GET, /v1/stats/none, 404, not_found",
    "GET, /v1/volumes/a%2Fb, 400, invalid",
    "GET, /v1/volumes/, 400, invalid",
    "GET, /v1/stats/%00, 400, invalid",
    "DELETE, /v1/volumes/a?force=yes, 400, invalid",
    "DELETE, /v1/volumes/a?recursive=true, 400, invalid",
    "GET, /, 404, unknown_route",
    "GET, /v1, 404, unknown_route",
    "GET, /v1/, 404, unknown_route",
    "GET, /v2/node, 404, unknown_route",
    "GET, /v1/nodes, 404, not_found",
    "GET, /v1/nodes/3, 404, unknown_route",
    "GET, /v1/nodes/3/draining, 404, unknown_route",
    "GET, /v1/nodes/3/drain, 405, wrong_method",
    "GET, /v1/nodes/0/undrain, 400, invalid",
    "POST, /v1/nodes/x/drain, 400, invalid",
    "POST, /v1/nodes/65536/remove, 400, invalid",
    "POST, /v1/nodes/3/drain?dryRun=true, 400, invalid",
    "POST, /v1/nodes/3/drain, 404, not_found",
    "PUT, /v1/nodes, 405, wrong_method",
    "GET, /v1/node/x, 404, unknown_route",
    "GET, /v1/volumes/a/b, 404, unknown_route",
    "GET, /v1/volumes/a/snapshots/s/x, 404, unknown_route",
    "POST, /v1/volumes/a/rollback/x, 404, unknown_route",
    "GET, /v1/stats/a/b, 404, unknown_route",
    "GET, /v1/volumes/none/snapshots, 404, not_found",
    "DELETE, /v1/volumes/none/snapshots/s, 404, not_found",
    "DELETE, /v1/volumes/a/snapshots/s@t, 400, invalid",
    "DELETE, /v1/volumes/a/snapshots/, 400, invalid",
    "GET, /v1/volumes/a@s, 400, invalid",
    "GET, /v1/volumes?size=1, 400, invalid",
    "DELETE, /v1/volumes/a?force=true&force=false, 400, invalid",
    "POST, /v1/volumes/a/rollback?force=true, 400, invalid",
    "GET, /v1/volumes/none/diff?from=s, 404, not_found",
    "GET, /v1/volumes/a/diff/x?from=s, 404, unknown_route",
    "GET, /v1/volumes/a/diff, 400, invalid",
    "GET, /v1/volumes/a/diff?from=, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&to=t@u, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&since=t, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&offset=5, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&offset=-4096, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&offset=99999999999999999999, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&limit=0, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&limit=10001, 400, invalid",
    "GET, /v1/volumes/a/diff?from=s&limit=ten, 400, invalid",
    "POST, /v1/volumes/a/diff?from=s, 405, wrong_method",
    "PUT, /v1/volumes/a/snapshots, 405, wrong_method",
    "GET, /v1/volumes/a/snapshots/s, 405, wrong_method",
    "GET, /v1/volumes/a/rollback, 405, wrong_method",
    "GET, /v1/volumes/a/resize, 405, wrong_method",
    "GET, /metrics, 404, unknown_route",
    "PUT, /v1/node, 405, wrong_method",
    "DELETE, /v1/volumes, 405, wrong_method",
    "POST, /v1/volumes/a, 405, wrong_method",
    "POST, /v1/stats, 405, wrong_method",
    "DELETE, /v1/stats/a, 405, wrong_method"
  })
  void everyRefusalHasItsStatusAndCode(String method, String path, int status, String code)
      throws Exception {
    Answer answer = call(method, path, method.equals("GET") ? null : "{}");
    assertThat(answer.status()).isEqualTo(status);
    assertThat(answer.errorCode()).isEqualTo(code);
    assertThat(answer.errorMessage()).isNotBlank().doesNotContain("\n");
  }

  @Test
  void aWrongMethodIsToldTheRightOnes() throws Exception {
    assertThat(call("PUT", "/v1/volumes", "{}").raw().headers().firstValue("allow"))
        .contains("GET, POST");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"name\": | bad JSON at line 1, column",
        "{\"name\":\"a\",\"name\":\"b\",\"size\":1} | bad JSON at line 1, column",
        "{\"name\":\"a\",\"size\":4096} x | bad JSON at line 1, column",
        "[] | expected a JSON object",
        "`` | expected a JSON object",
        "{\"name\":\"a\",\"sise\":1} | unknown field 'sise'",
        "{\"size\":\"1G\"} | field 'name' is missing",
        "{\"name\":5,\"size\":\"1G\"} | field 'name' must be a string",
        "{\"name\":\"a\"} | field 'size' is missing",
        "{\"name\":\"a\",\"size\":1.5} | field 'size' must be a number of bytes or a string",
        "{\"name\":\"a\",\"size\":99999999999999999999} | field 'size' must be a number of bytes or a string",
        "{\"name\":\"a\",\"size\":null} | field 'size' must be a number of bytes or a string",
        "{\"name\":\"a\",\"size\":\"1X\"} | bad size \"1X\"",
        "{\"name\":\"a\",\"size\":\"100\"} | bad volume size 100",
        "{\"name\":\"a/b\",\"size\":\"1G\"} | bad volume name \"a/b\"",
        "{\"name\":\"a\",\"size\":\"1G\",\"flushPolicy\":\"never\"} | bad flush policy \"never\"",
        "{\"name\":\"a\",\"size\":\"1G\",\"flushPolicy\":1} | field 'flushPolicy' must be a string"
      })
  void aBadBodyIsRefusedNamingThePlace(String body, String message) throws Exception {
    assertError(call("POST", "/v1/volumes", body), 400, "invalid", message);
    assertThat(call("GET", "/v1/volumes", null).body().get("volumes")).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "/v1/volumes/a/restore | {\"name\":\"b\"} | expected either field 'time' or field 'position'",
        "/v1/volumes/a/restore | {\"name\":\"b\",\"position\":1,\"time\":\"\"} | expected either field 'time'",
        "/v1/volumes/a/restore | {\"name\":\"b\",\"time\":\"now\"} | bad time \"now\": expected one such as",
        "/v1/volumes/a/restore | {\"name\":\"b\",\"position\":0} | bad log position 0",
        "/v1/volumes | {\"name\":\"b\",\"clone-of\":5} | field 'clone-of' must be a string",
        "/v1/volumes | {\"name\":\"b\",\"clone-of\":\"a\",\"size\":4096} | field 'size' can't be there together with",
        "/v1/volumes | {\"name\":\"b\",\"clone-of\":\"a@\"} | bad snapshot name \"\"",
        "/v1/volumes | {\"name\":\"b\",\"clone-of\":\"a@s@t\"} | bad snapshot name \"s@t\"",
        "/v1/volumes | {\"name\":\"b\",\"clone-of\":\"@s\"} | bad volume name \"\"",
        "/v1/volumes/a/snapshots | {} | field 'name' is missing",
        "/v1/volumes/a/snapshots | {\"name\":\"s/t\"} | bad snapshot name \"s/t\"",
        "/v1/volumes/a/snapshots | {\"name\":\"s\",\"force\":true} | unknown field 'force': expected name",
        "/v1/volumes/a/rollback | {\"force\":true} | field 'snapshot' is missing",
        "/v1/volumes/a/rollback | {\"snapshot\":\"s\",\"force\":\"yes\"} | field 'force' must be true or false",
        "/v1/volumes/a/resize | {\"size\":100} | bad volume size 100",
        "/v1/volumes/a/leader | {\"node\":\"2G\"} | field 'node' must be the number of a node, 1 to 65535",
        "/v1/nodes | {\"node\":4} | field 'address' is missing",
        "/v1/nodes | {\"node\":4,\"address\":\"a:1\"} | field 'admin' is missing",
        "/v1/nodes | {\"number\":4} | unknown field 'number': expected node, address, admin, rack",
        "/v1/nodes/3/drain | {\"replacement\":0} | field 'replacement' must be the number of a node",
        "/v1/nodes/3/drain | {\"replacement\":\"4\"} | field 'replacement' must be the number of a node",
        "/v1/nodes/3/drain | {\"dryRun\":1} | field 'dryRun' must be true or false",
        "/v1/nodes/3/drain | {\"lost\":true} | unknown field 'lost': expected replacement, dryRun",
        "/v1/nodes/3/undrain | {\"node\":3} | unknown field 'node': there are none here",
        "/v1/nodes/3/remove | {\"lost\":\"yes\"} | field 'lost' must be true or false",
        "/v1/volumes/a/resize | [] | expected a JSON object such as {\"size\": \"2G\"}"
      })
  void aBadBodyOfAnyOtherRequestIsRefusedToo(String path, String body, String message)
      throws Exception {
    create("a");
    assertError(call("POST", path, body), 400, "invalid", message);
  }

  @Test
  void theNodesOwnRefusalsKeepTheirKind() throws Exception {
    create("a");
    assertError(
        call("POST", "/v1/volumes", "{\"name\":\"a\",\"size\":4096}"),
        409,
        "already_exists",
        "exists already");
    assertError(
        call("POST", "/v1/volumes", "{\"name\":\"b\",\"size\":\"2T\"}"),
        507,
        "no_space",
        "no room");
  }

  @ParameterizedTest
  @EnumSource(ControlException.Kind.class)
  void everyKindOfRefusalHasItsStatus(ControlException.Kind kind) throws Exception {
    control.answerNodeWith(CompletableFuture.failedFuture(new ControlException(kind, "told so")));
    Answer answer = call("GET", "/v1/node", null);
    assertThat(answer.status()).isEqualTo(kind.httpStatus());
    assertThat(answer.errorCode()).isEqualTo(kind.word());
    assertThat(answer.errorMessage()).isEqualTo("told so");
  }

  @Test
  void anUnexpectedFailureIsAnInternalErrorWithoutItsDetails() throws Exception {
    control.answerNodeWith(
        CompletableFuture.failedFuture(new IllegalStateException("secret detail")));
    Answer answer = call("GET", "/v1/node", null);
    assertThat(answer.status()).isEqualTo(500);
    assertThat(answer.raw().body()).doesNotContain("secret");
  }

  @Test
  void aNodeThatDoesNotAnswerIsUnavailableAndTheConnectionGoesOn() throws Exception {
    start(60_000, 50, 8);
    CompletableFuture<NodeInfo> never = new CompletableFuture<>();
    control.answerNodeWith(never);
    try (Raw raw = new Raw()) {
      raw.send("GET /v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(503);
      control.answerNodeWith(new FakeNodeControl().nodeInfo());
      // The late answer belongs to a request that was answered already, and must not be sent for
      // another.
      never.completeExceptionally(new ControlException(ControlException.Kind.INVALID, "late"));
      raw.send("GET /v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(200);
    }
  }

  @Test
  void requestsSentAheadAreAnsweredInOrder() throws Exception {
    CompletableFuture<NodeInfo> held = new CompletableFuture<>();
    control.answerNodeWith(held);
    try (Raw raw = new Raw()) {
      raw.send(
          "GET /v1/node HTTP/1.1\r\nHost: localhost\r\n\r\n"
              + "GET /v1/volumes/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
              + "GET /v1/volumes HTTP/1.1\r\nHost: localhost\r\n\r\n");
      // Answered over another connection, so the server is not stuck behind the first.
      assertThat(call("GET", "/v1/volumes", null).status()).isEqualTo(200);
      held.completeAsync(() -> new FakeNodeControl().nodeInfo().join());
      assertThat(raw.readStatus()).isEqualTo(200);
      assertThat(raw.readStatus()).isEqualTo(404);
      assertThat(raw.readStatus()).isEqualTo(200);
    }
  }

  @Test
  void aBodyBeyondTheLimitIsRefused() throws Exception {
    try (Raw raw = new Raw()) {
      raw.send(
          "POST /v1/volumes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
              + (BODY_LIMIT + 1)
              + "\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(413);
      assertThat(raw.isClosedByServer()).isTrue();
    }
  }

  @Test
  void headersBeyondTheLimitAreRefused() throws Exception {
    try (Raw raw = new Raw()) {
      raw.send(
          "GET /v1/node HTTP/1.1\r\nHost: localhost\r\nX-A: "
              + "a".repeat(HEADER_LIMIT)
              + "\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(431);
      assertThat(raw.isClosedByServer()).isTrue();
    }
  }

  @Test
  void aRequestLineBeyondTheLimitIsRefused() throws Exception {
    try (Raw raw = new Raw()) {
      raw.send("GET /v1/" + "a".repeat(5000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(414);
      assertThat(raw.isClosedByServer()).isTrue();
    }
  }

  @Test
  void whatIsNotHttpIsRefused() throws Exception {
    try (Raw raw = new Raw()) {
      raw.send("IHAVEOPT\0\0\0\1\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(400);
      assertThat(raw.isClosedByServer()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/volumes/%zz", "/v1/volumes/a?force=%zz"})
  void aBrokenEscapeIsRefusedAndTheConnectionGoesOn(String path) throws Exception {
    try (Raw raw = new Raw()) {
      raw.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(400);
      raw.send("GET /v1/volumes HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(200);
    }
  }

  @Test
  void aSilentConnectionIsClosed() throws Exception {
    start(50, 60_000, 8);
    try (Raw raw = new Raw()) {
      assertThat(raw.isClosedByServer()).isTrue();
    }
  }

  @Test
  void halfARequestDoesNotKeepAConnectionOpen() throws Exception {
    start(50, 60_000, 8);
    try (Raw raw = new Raw()) {
      raw.send("POST /v1/volumes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
      assertThat(raw.isClosedByServer()).isTrue();
    }
  }

  @Test
  void connectionsBeyondTheLimitAreRefusedAndTheOthersGoOn() throws Exception {
    start(60_000, 60_000, 3);
    List<Raw> open = new ArrayList<>();
    try {
      for (int i = 0; i < 3; i++) {
        Raw raw = new Raw();
        open.add(raw);
        raw.send("GET /v1/volumes HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assertThat(raw.readStatus()).isEqualTo(200);
      }
      try (Raw tooMany = new Raw()) {
        assertThat(tooMany.readStatus()).isEqualTo(503);
        assertThat(tooMany.isClosedByServer()).isTrue();
      }
      open.getFirst().send("GET /v1/volumes HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assertThat(open.getFirst().readStatus()).isEqualTo(200);
    } finally {
      for (Raw raw : open) {
        raw.close();
      }
    }
  }

  @Test
  void aPageOnAnotherSiteCannotReachTheApiThroughABrowser() throws Exception {
    try (Raw raw = new Raw()) {
      raw.send("GET /v1/volumes HTTP/1.1\r\nHost: evil.example:10810\r\n\r\n");
      assertThat(raw.readStatus()).isEqualTo(403);
      raw.send(
          "POST /v1/volumes HTTP/1.1\r\nHost: [::1]:10810\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}");
      assertThat(raw.readStatus()).isEqualTo(415);
    }
  }

  @Test
  void anAddressInUseIsOneClearLine() {
    int port = port();
    assertThatThrownBy(() -> AdminServer.start(control, AdminOptions.at("127.0.0.1", port)))
        .isInstanceOf(AdminBindException.class)
        .hasMessage(
            "admin address 127.0.0.1:"
                + port
                + " is in use: stop the other server, or choose another address with --admin or 'admin.listen'");
  }

  @Test
  void anUnknownHostIsOneClearLine() {
    assertThatThrownBy(() -> AdminServer.start(control, AdminOptions.at("no-such-host.invalid", 0)))
        .isInstanceOf(AdminBindException.class)
        .hasMessage("admin address no-such-host.invalid:0 cannot be used: no such host");
  }

  @Test
  void afterCloseNobodyListensAndTheThreadIsGone() {
    assertThat(adminThreads()).isNotEmpty();
    int port = port();
    server.close();
    assertThatThrownBy(() -> new Socket(InetAddress.getLoopbackAddress(), port).close())
        .isInstanceOf(IOException.class);
    assertThat(adminThreads()).isEmpty();
  }

  private static List<String> adminThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(Thread::isAlive)
        .map(Thread::getName)
        .filter("plinth-admin"::equals)
        .toList();
  }

  private int port() {
    return Integer.parseInt(server.address().substring(server.address().lastIndexOf(':') + 1));
  }

  private void create(String name) throws Exception {
    assertThat(call("POST", "/v1/volumes", "{\"name\":\"" + name + "\",\"size\":\"1M\"}").status())
        .isEqualTo(201);
  }

  private Answer call(String method, String path, String body) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://" + server.address() + path))
            .header("Content-Type", "application/json")
            .method(
                method,
                body == null
                    ? HttpRequest.BodyPublishers.noBody()
                    : HttpRequest.BodyPublishers.ofString(body))
            .build();
    HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
    return new Answer(response.statusCode(), JSON.readTree(response.body()), response);
  }

  private static void assertError(Answer answer, int status, String code, String messagePart) {
    assertThat(answer.errorMessage()).contains(messagePart);
    assertThat(answer.status()).isEqualTo(status);
    assertThat(answer.errorCode()).isEqualTo(code);
  }

  /** A client that sends what a well-behaved one would not. */
  private final class Raw implements AutoCloseable {
    private final Socket socket;
    private final BufferedReader reader;

    Raw() throws IOException {
      socket = new Socket(InetAddress.getLoopbackAddress(), port());
      socket.setSoTimeout(30_000);
      reader =
          new BufferedReader(
              new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
    }

    void send(String text) throws IOException {
      socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
      socket.getOutputStream().flush();
    }

    /** Reads one whole response and returns its status. */
    int readStatus() throws IOException {
      int status = Integer.parseInt(reader.readLine().split(" ", 3)[1]);
      int length = 0;
      for (String line = reader.readLine(); !line.isEmpty(); line = reader.readLine()) {
        if (line.toLowerCase(Locale.ROOT).startsWith("content-length:")) {
          length = Integer.parseInt(line.substring("content-length:".length()).strip());
        }
      }
      for (int i = 0; i < length; i++) {
        assertThat(reader.read()).isNotNegative();
      }
      return status;
    }

    boolean isClosedByServer() throws IOException {
      return reader.read() < 0;
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
