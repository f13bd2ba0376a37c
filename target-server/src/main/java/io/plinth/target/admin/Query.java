package io.plinth.target.admin;

import io.netty.handler.codec.http.QueryStringDecoder;
import java.util.List;
import java.util.Map;

/**
 * The parameters in a request's address. What is not known or makes no sense is a {@link
 * ControlException} INVALID: a misspelt parameter must not be left out silently.
 */
final class Query {
  private final Map<String, List<String>> parameters;

  private Query(Map<String, List<String>> parameters) {
    this.parameters = parameters;
  }

  /** Reads the parameters, which must be among {@code known}, each once. */
  static Query of(QueryStringDecoder uri, String... known) {
    List<String> names = List.of(known);
    for (Map.Entry<String, List<String>> parameter : uri.parameters().entrySet()) {
      String name = AdminRoutes.shorten(parameter.getKey());
      if (!names.contains(parameter.getKey())) {
        throw invalid(
            "unknown parameter '"
                + name
                + "': "
                + (names.isEmpty()
                    ? "there are none here"
                    : "expected " + String.join(", ", names)));
      }
      if (parameter.getValue().size() > 1) {
        throw invalid("parameter '" + name + "' is there more than once");
      }
    }
    return new Query(uri.parameters());
  }

  /** Returns true or false; false when it is not there. */
  boolean flag(String name) {
    String value = text(name);
    if (value != null && !value.equals("true") && !value.equals("false")) {
      throw invalid("parameter '" + name + "' must be true or false");
    }
    return "true".equals(value);
  }

  /** Returns a value, or null when it is not there. */
  String text(String name) {
    return parameters.containsKey(name) ? parameters.get(name).getFirst() : null;
  }

  /**
   * Returns a number in a range; {@code fallback} when it is not there.
   *
   * @param step what it must be a multiple of
   */
  long number(String name, long fallback, long least, long most, int step) {
    String value = text(name);
    if (value == null) {
      return fallback;
    }
    boolean isNumber =
        !value.isEmpty() && value.length() <= 18 && value.chars().allMatch(Query::isDigit);
    long number = isNumber ? Long.parseLong(value) : -1;
    if (number < least || number > most || number % step != 0) {
      throw invalid(
          "parameter '"
              + name
              + "' must be a number from "
              + least
              + " to "
              + most
              + (step == 1 ? "" : ", a multiple of " + step));
    }
    return number;
  }

  private static boolean isDigit(int character) {
    return character >= '0' && character <= '9';
  }

  private static ControlException invalid(String message) {
    return new ControlException(ControlException.Kind.INVALID, message);
  }
}
