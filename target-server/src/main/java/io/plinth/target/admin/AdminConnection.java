package io.plinth.target.admin;

import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.PrematureChannelClosureException;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client of the admin API. Requests are answered one at a time; at any moment exactly one
 * deadline runs: for the next whole request, for the node's answer, or for the reply to be taken.
 */
final class AdminConnection extends SimpleChannelInboundHandler<FullHttpRequest> {
  private static final Logger LOG = LoggerFactory.getLogger(AdminConnection.class);

  private final AdminRoutes routes;
  private final AdminOptions options;
  private final boolean admitted;

  /** Requests that came together with the one being answered: no more than one read brings. */
  private final ArrayDeque<FullHttpRequest> ahead = new ArrayDeque<>();

  private boolean busy;
  private Future<?> deadline = CompletableFuture.completedFuture(null);

  /**
   * Counts requests, so that an answer that comes after its deadline is not taken for the next
   * request's.
   */
  private long requestNumber;

  AdminConnection(AdminRoutes routes, AdminOptions options, boolean admitted) {
    this.routes = routes;
    this.options = options;
    this.admitted = admitted;
  }

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    if (!admitted) {
      busy = true;
      reply(
          ctx,
          Reply.error(
              503,
              "too_many_connections",
              "more than " + options.maxConnections() + " connections"),
          true);
      return;
    }
    awaitRequest(ctx);
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    deadline.cancel(false);
    requestNumber++;
    ahead.forEach(FullHttpRequest::release);
    ahead.clear();
  }

  @Override
  protected void channelRead0(ChannelHandlerContext ctx, FullHttpRequest request) {
    if (busy) {
      ahead.add(request.retain());
      return;
    }
    start(ctx, request);
  }

  /** Begins to answer a request. Nothing more is read until its reply has left. */
  private void start(ChannelHandlerContext ctx, FullHttpRequest request) {
    busy = true;
    ctx.channel().config().setAutoRead(false);
    deadline.cancel(false);
    if (request.decoderResult().isFailure()) {
      reply(ctx, malformed(request.decoderResult().cause()), true);
      return;
    }
    boolean close = !HttpUtil.isKeepAlive(request);
    long number = ++requestNumber;
    arm(ctx, options.operationTimeoutMs(), () -> operationTimedOut(ctx, number, close));
    var _ =
        routes
            .handle(request)
            .whenComplete((reply, failure) ->
                ctx.executor().execute(() -> answered(ctx, number, reply, failure, close)));
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (!(cause instanceof IOException || cause instanceof PrematureChannelClosureException)) {
      LOG.warn(
          "admin connection {} closed after an unexpected error",
          ctx.channel().remoteAddress(),
          cause);
    }
    close(ctx);
  }

  private void answered(
      ChannelHandlerContext ctx, long number, Reply reply, Throwable failure, boolean close) {
    if (number != requestNumber) {
      return;
    }
    requestNumber++;
    reply(ctx, failure == null ? reply : AdminRoutes.failure(failure), close);
  }

  private void operationTimedOut(ChannelHandlerContext ctx, long number, boolean close) {
    if (number != requestNumber) {
      return;
    }
    requestNumber++;
    String message = "the node has not answered within " + options.operationTimeoutMs() + " ms";
    reply(ctx, Reply.error(ControlException.Kind.UNAVAILABLE, message), close);
  }

  private void reply(ChannelHandlerContext ctx, Reply reply, boolean close) {
    arm(ctx, options.idleTimeoutMs(), () -> close(ctx));
    ctx.writeAndFlush(reply.toResponse(close))
        .addListener(
            (ChannelFutureListener)
                written -> {
                  if (close || !written.isSuccess()) {
                    close(ctx);
                  } else {
                    awaitRequest(ctx);
                  }
                });
  }

  private void awaitRequest(ChannelHandlerContext ctx) {
    busy = false;
    FullHttpRequest next = ahead.poll();
    if (next == null) {
      arm(ctx, options.idleTimeoutMs(), () -> close(ctx));
      ctx.channel().config().setAutoRead(true);
      return;
    }
    try {
      start(ctx, next);
    } finally {
      next.release();
    }
  }

  private void arm(ChannelHandlerContext ctx, long timeoutMs, Runnable late) {
    deadline.cancel(false);
    deadline = ctx.executor().schedule(late, timeoutMs, TimeUnit.MILLISECONDS);
  }

  private static void close(ChannelHandlerContext ctx) {
    var _ = ctx.close();
  }

  private static Reply malformed(Throwable cause) {
    return switch (cause) {
      case TooLongHttpLineException e ->
          Reply.error(414, "too_large", "the request line is too long");
      case TooLongHttpHeaderException e ->
          Reply.error(431, "too_large", "the header fields are too long");
      case TooLongFrameException e -> Reply.error(413, "too_large", "the request is too long");
      default -> Reply.error(400, "invalid", "not an HTTP request");
    };
  }
}
