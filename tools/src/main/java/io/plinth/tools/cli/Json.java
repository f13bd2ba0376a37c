package io.plinth.tools.cli;

import java.io.PrintWriter;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** JSON as the command reads and writes it. */
final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private Json() {}

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /** Reads a document; throws {@link JacksonException} when it is none. */
  static JsonNode parse(String text) {
    return MAPPER.readTree(text);
  }

  static <T> T convert(JsonNode node, Class<T> type) {
    return MAPPER.treeToValue(node, type);
  }

  /** Writes a document bit by bit. */
  static JsonGenerator generator(PrintWriter out) {
    return MAPPER.createGenerator(out);
  }

  static JsonNode tree(Object value) {
    return MAPPER.valueToTree(value);
  }

  static String pretty(JsonNode node) {
    return MAPPER.writeValueAsString(node);
  }

  static String oneLine(JsonNode node) {
    return node.toString();
  }

  static String error(String code, String message) {
    ObjectNode document = object();
    document.putObject("error").put("code", code).put("message", message);
    return oneLine(document);
  }
}
