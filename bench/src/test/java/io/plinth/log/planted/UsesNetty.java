package io.plinth.log.planted;

import io.netty.buffer.ByteBuf;

/** Planted: protocol code on Netty's buffers. */
public final class UsesNetty {
  ByteBuf other;
}
