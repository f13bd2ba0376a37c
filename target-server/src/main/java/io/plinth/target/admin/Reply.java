package io.plinth.target.admin;

import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/**
 * What is answered to one request.
 *
 * @param status of HTTP
 * @param body written as JSON
 * @param headers more header fields
 */
record Reply(int status, Object body, Map<String, String> headers) {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private record ErrorDocument(ErrorBody error) {}

  private record ErrorBody(String code, String message) {}

  static Reply of(int status, Object body) {
    return new Reply(status, body, Map.of());
  }

  static Reply error(int status, String code, String message) {
    return of(status, new ErrorDocument(new ErrorBody(code, message)));
  }

  static Reply error(ControlException.Kind kind, String message) {
    return error(kind.httpStatus(), kind.word(), message);
  }

  Reply withHeader(String name, String value) {
    return new Reply(status, body, Map.of(name, value));
  }

  FullHttpResponse toResponse(boolean close) {
    byte[] json = JSON.writeValueAsBytes(body);
    FullHttpResponse response =
        new DefaultFullHttpResponse(
            HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(status), Unpooled.wrappedBuffer(json));
    response.headers().set(HttpHeaderNames.CONTENT_TYPE, "application/json");
    response.headers().setInt(HttpHeaderNames.CONTENT_LENGTH, json.length);
    response.headers().set(HttpHeaderNames.CACHE_CONTROL, "no-store");
    headers.forEach((name, value) -> response.headers().set(name, value));
    if (close) {
      response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    }
    return response;
  }
}
