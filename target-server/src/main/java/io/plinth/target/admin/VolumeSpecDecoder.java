package io.plinth.target.admin;

import io.plinth.target.volume.FlushPolicy;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads the body of a request to create a volume. */
final class VolumeSpecDecoder {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private VolumeSpecDecoder() {}

  /**
   * Reads {@code {"name": "demo", "size": "1G", "flushPolicy": "flush"}}; the size may be a number
   * of bytes, the policy may be left out.
   *
   * @throws ControlException INVALID, with one line that names the place: line and column, or the
   *     field
   */
  static VolumeSpec decode(String body) {
    JsonNode root = parse(body);
    if (!root.isObject()) {
      throw invalid("expected a JSON object such as {\"name\": \"demo\", \"size\": \"1G\"}");
    }
    for (String field : root.propertyNames()) {
      if (!field.equals("name") && !field.equals("size") && !field.equals("flushPolicy")) {
        String shown = field.length() > 60 ? field.substring(0, 60) + "..." : field;
        throw invalid("unknown field '" + shown + "': expected name, size and flushPolicy");
      }
    }
    JsonNode policy = root.get("flushPolicy");
    try {
      return new VolumeSpec(
          string("name", root.get("name")),
          size(root.get("size")),
          policy == null ? FlushPolicy.FLUSH : FlushPolicy.parse(string("flushPolicy", policy)));
    } catch (IllegalArgumentException e) {
      throw AdminRoutes.invalid(e);
    }
  }

  private static JsonNode parse(String body) {
    try {
      return JSON.readTree(body);
    } catch (JacksonException e) {
      TokenStreamLocation location = e.getLocation();
      String place =
          location == null
              ? ""
              : " at line " + location.getLineNr() + ", column " + location.getColumnNr();
      String reason = String.valueOf(e.getOriginalMessage()).lines().findFirst().orElse("");
      ControlException invalid = invalid("bad JSON" + place + ": " + reason);
      invalid.initCause(e);
      throw invalid;
    }
  }

  private static String string(String field, JsonNode node) {
    if (node == null) {
      throw invalid("field '" + field + "' is missing");
    }
    if (!node.isString()) {
      throw invalid("field '" + field + "' must be a string");
    }
    return node.stringValue();
  }

  private static long size(JsonNode node) {
    if (node != null && node.isIntegralNumber() && node.canConvertToLong()) {
      return node.longValue();
    }
    if (node != null && !node.isString()) {
      throw invalid("field 'size' must be a number of bytes or a string such as \"1G\"");
    }
    return Sizes.parse(string("size", node));
  }

  private static ControlException invalid(String message) {
    return new ControlException(ControlException.Kind.INVALID, message);
  }
}
