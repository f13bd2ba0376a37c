package io.plinth.target.admin;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The body of a request: a JSON object of known fields. Whatever is wrong with it is a {@link
 * ControlException} INVALID with one line that names the place: line and column, or the field.
 */
final class RequestBody {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();
  private static final int LONGEST_ECHO = 60;

  /** Nodes have numbers from 1 up to this. */
  static final int MAXIMUM_NODE = 65_535;

  private final JsonNode root;

  private RequestBody(JsonNode root) {
    this.root = root;
  }

  /**
   * Reads a body.
   *
   * @param example what it could have been, for the message
   * @param fields the fields that it may have
   */
  static RequestBody parse(String text, String example, String... fields) {
    JsonNode root = parse(text);
    if (!root.isObject()) {
      throw invalid("expected a JSON object such as " + example);
    }
    List<String> known = List.of(fields);
    for (String field : root.propertyNames()) {
      if (!known.contains(field)) {
        String shown =
            field.length() > LONGEST_ECHO ? field.substring(0, LONGEST_ECHO) + "..." : field;
        String expected =
            known.isEmpty() ? "there are none here" : "expected " + String.join(", ", known);
        throw invalid("unknown field '" + shown + "': " + expected);
      }
    }
    return new RequestBody(root);
  }

  boolean has(String field) {
    return root.has(field);
  }

  /** Returns a string, which must be there. */
  String string(String field) {
    JsonNode node = required(field);
    if (!node.isString()) {
      throw invalid("field '" + field + "' must be a string");
    }
    return node.stringValue();
  }

  /** Returns a string; null when it is null. The field must be there. */
  String stringOrNull(String field) {
    return required(field).isNull() ? null : string(field);
  }

  /** Returns a list of strings; an empty one when it is null. The field must be there. */
  List<String> stringsOrNull(String field) {
    JsonNode node = required(field);
    if (node.isNull()) {
      return List.of();
    }
    List<String> strings = new ArrayList<>();
    for (JsonNode element : node) {
      strings.add(element.isString() ? element.stringValue() : null);
    }
    if (!node.isArray() || strings.contains(null)) {
      throw invalid("field '" + field + "' must be a list of strings");
    }
    return strings;
  }

  /** Returns a size, which must be there: a number of bytes or a string for {@link Sizes}. */
  long size(String field) {
    JsonNode node = required(field);
    if (node.isIntegralNumber() && node.canConvertToLong()) {
      return node.longValue();
    }
    if (!node.isString()) {
      throw invalid("field '" + field + "' must be a number of bytes or a string such as \"1G\"");
    }
    return Sizes.parse(node.stringValue());
  }

  /** Returns the number of a node, which must be there. */
  int node(String field) {
    JsonNode node = required(field);
    long number = node.isIntegralNumber() && node.canConvertToLong() ? node.longValue() : 0;
    if (number < 1 || number > MAXIMUM_NODE) {
      throw invalid("field '" + field + "' must be the number of a node, 1 to " + MAXIMUM_NODE);
    }
    return (int) number;
  }

  /** Returns true or false; false when it is not there. */
  boolean flag(String field) {
    JsonNode node = root.get(field);
    if (node == null) {
      return false;
    }
    if (!node.isBoolean()) {
      throw invalid("field '" + field + "' must be true or false");
    }
    return node.booleanValue();
  }

  private JsonNode required(String field) {
    JsonNode node = root.get(field);
    if (node == null) {
      throw invalid("field '" + field + "' is missing");
    }
    return node;
  }

  private static JsonNode parse(String text) {
    try {
      return JSON.readTree(text);
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

  private static ControlException invalid(String message) {
    return new ControlException(ControlException.Kind.INVALID, message);
  }
}
