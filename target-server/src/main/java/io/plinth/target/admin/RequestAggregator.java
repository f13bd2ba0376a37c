package io.plinth.target.admin;

import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpObjectAggregator;

/** Collects whole requests; one that is too large is answered in JSON and ends its connection. */
final class RequestAggregator extends HttpObjectAggregator {
  RequestAggregator(int maxRequestBytes) {
    super(maxRequestBytes, true);
  }

  @Override
  protected void handleOversizedMessage(ChannelHandlerContext ctx, HttpMessage oversized) {
    Reply reply =
        Reply.error(413, "too_large", "the request has more than " + maxContentLength() + " bytes");
    ctx.writeAndFlush(reply.toResponse(true)).addListener(ChannelFutureListener.CLOSE);
  }
}
