package io.plinth.target.admin;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpServerCodec;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.channels.UnresolvedAddressException;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;

/**
 * The HTTP/JSON admin API.
 *
 * <pre>
 * GET    /v1/node                          what the node is and how it is
 * GET    /v1/volumes                       {"volumes": [...]}
 * POST   /v1/volumes                       {"name": "demo", "size": "1G", "flushPolicy": "flush"} -> 201
 *                                          {"name": "copy", "clone-of": "demo@monday"} -> 201
 * GET    /v1/volumes/{name}
 * DELETE /v1/volumes/{name}                ?force=true disconnects clients and deletes snapshots
 * GET    /v1/volumes/{name}/snapshots      {"snapshots": [...]}
 * POST   /v1/volumes/{name}/snapshots      {"name": "monday"} -> 201
 * DELETE /v1/volumes/{name}/snapshots/{s}  ?force=true disconnects clients
 * POST   /v1/volumes/{name}/rollback       {"snapshot": "monday", "force": false}
 * POST   /v1/volumes/{name}/resize         {"size": "2G", "force": false}
 * GET    /v1/volumes/{name}/diff           ?from=monday&to=tuesday&offset=0&limit=1000
 * GET    /v1/nodes                         {"nodes": [...], "moves": [...]}, of a cluster
 * POST   /v1/nodes/{n}/drain               {"replacement": 4, "dryRun": false} -> {"lines": [...]}
 * POST   /v1/nodes/{n}/undrain             {}
 * POST   /v1/nodes/{n}/remove              {"lost": true}
 * GET    /v1/stats                         {"volumes": [...]}
 * GET    /v1/stats/{name}
 * </pre>
 *
 * A failure is {@code {"error": {"code": "not_found", "message": "..."}}} with the status of its
 * kind. All work happens on one thread named {@code plinth-admin}; requests of one connection are
 * answered one after the other.
 */
public final class AdminServer implements AutoCloseable {
  private static final int MAXIMUM_LINE_BYTES = 4096;
  private static final int CHUNK_BYTES = 8192;

  private static final long JOIN_MILLIS = 2000;

  private final EventLoopGroup loop;
  private final OneThread threads;
  private final ChannelGroup connections;
  private final Channel listener;

  private AdminServer(
      EventLoopGroup loop, OneThread threads, ChannelGroup connections, Channel listener) {
    this.loop = loop;
    this.threads = threads;
    this.connections = connections;
    this.listener = listener;
  }

  /**
   * Starts to listen.
   *
   * @throws AdminBindException when the address cannot be used, with one line that says why
   */
  public static AdminServer start(NodeControl control, AdminOptions options)
      throws AdminBindException {
    OneThread threads = new OneThread();
    EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, threads, NioIoHandler.newFactory());
    ChannelGroup connections = new DefaultChannelGroup(loop.next());
    AdminRoutes routes = new AdminRoutes(control);
    ServerBootstrap bootstrap =
        new ServerBootstrap()
            .group(loop)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_REUSEADDR, true)
            .option(ChannelOption.SO_BACKLOG, 64)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(new Initializer(routes, options, connections));
    ChannelFuture bound = bootstrap.bind(new InetSocketAddress(options.host(), options.port()));
    if (!bound.awaitUninterruptibly().isSuccess()) {
      loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
      throw new AdminBindException(bindMessage(options, bound.cause()), bound.cause());
    }
    return new AdminServer(loop, threads, connections, bound.channel());
  }

  /**
   * Returns {@code HOST:PORT} as listened to, with the port that was chosen when 0 was asked for.
   */
  public String address() {
    InetSocketAddress address = (InetSocketAddress) listener.localAddress();
    String host = address.getAddress().getHostAddress();
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + address.getPort();
  }

  /** Stops listening, closes all connections and ends the thread; returns when that is done. */
  @Override
  public void close() {
    listener.close().awaitUninterruptibly();
    connections.close().awaitUninterruptibly();
    loop.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly();
    threads.join();
  }

  private static String bindMessage(AdminOptions options, Throwable cause) {
    String place = "admin address " + options.host() + ":" + options.port();
    if (cause instanceof BindException && String.valueOf(cause.getMessage()).contains("in use")) {
      return place
          + " is in use: stop the other server, or choose another address with --admin or 'admin.listen'";
    }
    if (cause instanceof UnknownHostException || cause instanceof UnresolvedAddressException) {
      return place + " cannot be used: no such host";
    }
    return place + " cannot be used: " + cause.getMessage();
  }

  /**
   * The loop's thread. The loop says that it has ended while its thread still runs its last lines,
   * so whoever needs the thread gone waits for the thread itself.
   */
  private static final class OneThread implements ThreadFactory {
    private volatile Thread thread;

    @Override
    public Thread newThread(Runnable task) {
      thread = Thread.ofPlatform().name("plinth-admin").daemon().unstarted(task);
      return thread;
    }

    void join() {
      Thread started = thread;
      if (started == null || started == Thread.currentThread()) {
        return;
      }
      try {
        started.join(JOIN_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Builds the pipeline of each connection. */
  private static final class Initializer extends ChannelInitializer<SocketChannel> {
    private final AdminRoutes routes;
    private final AdminOptions options;
    private final ChannelGroup connections;

    Initializer(AdminRoutes routes, AdminOptions options, ChannelGroup connections) {
      this.routes = routes;
      this.options = options;
      this.connections = connections;
    }

    @Override
    protected void initChannel(SocketChannel channel) {
      boolean admitted = connections.size() < options.maxConnections();
      connections.add(channel);
      ChannelPipeline pipeline = channel.pipeline();
      pipeline.addLast(
          new HttpServerCodec(MAXIMUM_LINE_BYTES, options.maxHeaderBytes(), CHUNK_BYTES));
      pipeline.addLast(new RequestAggregator(options.maxRequestBytes()));
      pipeline.addLast(new AdminConnection(routes, options, admitted));
    }
  }
}
