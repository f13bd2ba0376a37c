package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.List;

/** The transmission phase of one connection: requests out, whole replies back. */
final class Transmission {
  private static final long COOKIE_STEP = 0x9e3779b97f4a7c15L;

  private final ClientConnection connection;
  private final ReplyDecoder decoder;
  private final List<Integer> contexts;
  private long cookie;

  /**
   * A session that has just begun.
   *
   * @param contexts identities of the metadata contexts that were selected
   */
  Transmission(ClientConnection connection, ReplyDecoder decoder, List<Integer> contexts) {
    this.connection = connection;
    this.decoder = decoder;
    this.contexts = contexts;
  }

  ClientConnection connection() {
    return connection;
  }

  boolean isExtended() {
    return decoder.mode() == ReplyDecoder.Mode.EXTENDED;
  }

  List<Integer> contexts() {
    return contexts;
  }

  /** Returns a cookie that was not used before. */
  long nextCookie() {
    cookie += COOKIE_STEP;
    return cookie;
  }

  /** Sends a request with nothing behind its header. */
  Request send(int command, int flags, long offset, long length) throws IOException {
    return send(new Request(command, flags, nextCookie(), offset, length, contexts), new byte[0]);
  }

  /** Sends a request as it is, and its payload. */
  Request send(Request request, byte[] payload) throws IOException {
    decoder.expect(request);
    connection.send(header(request, request.length()), payload);
    return request;
  }

  /** Sends two READs in one piece. */
  List<Request> sendTogether(long first, long second, long length) throws IOException {
    Request one = new Request(Nbd.READ, 0, nextCookie(), first, length, contexts);
    Request two = new Request(Nbd.READ, 0, nextCookie(), second, length, contexts);
    decoder.expect(one);
    decoder.expect(two);
    connection.send(header(one, length), header(two, length));
    return List.of(one, two);
  }

  /** Returns the header of a request, of the kind that was negotiated. */
  byte[] header(Request request, long length) {
    Packet packet =
        new Packet()
            .u32(isExtended() ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC)
            .u16(request.flags())
            .u16(request.command())
            .u64(request.cookie())
            .u64(request.offset());
    return (isExtended() ? packet.u64(length) : packet.u32((int) length)).toBytes();
  }

  /**
   * Sends a request whose header has another length than what it is about: the payload's.
   *
   * @param about length of what the request is about
   */
  Reply callWithPayload(
      int command, int flags, long offset, long about, List<Integer> ids, byte[] payload)
      throws IOException {
    Request request = new Request(command, flags, nextCookie(), offset, about, ids);
    decoder.expect(request);
    connection.send(header(request, payload.length), payload);
    return await(request);
  }

  /** Returns whether part of a reply has come, and not its end. */
  boolean isInsideReply() {
    return decoder.isInside();
  }

  Reply await(Request request) throws IOException {
    return decoder.await(request);
  }

  /** Sends a request without a payload and waits for its reply. */
  Reply call(int command, int flags, long offset, long length) throws IOException {
    return await(send(command, flags, offset, length));
  }

  Reply read(long offset, long length) throws IOException {
    return call(Nbd.READ, 0, offset, length);
  }

  Reply write(int flags, long offset, byte[] data) throws IOException {
    int all = flags | (isExtended() ? Nbd.PAYLOAD_LEN : 0);
    return await(
        send(new Request(Nbd.WRITE, all, nextCookie(), offset, data.length, contexts), data));
  }
}
