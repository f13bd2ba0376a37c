package io.plinth.target.admin.planted;

import io.netty.channel.uring.IoUringIoHandle;

/** Planted: may use Netty, but not its ring. */
public final class UsesRing {
  IoUringIoHandle other;
}
