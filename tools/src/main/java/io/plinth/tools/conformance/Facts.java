package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * What a server says of itself and of the export before anything is judged.
 *
 * @param problem why nothing is known of the export, or empty
 * @param tls how it answers STARTTLS on a plain connection
 * @param go it knows GO
 * @param structured it can answer in structured replies
 * @param extended it can take extended headers
 * @param allocation it has the context base:allocation
 * @param flags transmission flags without structured replies
 * @param structuredFlags transmission flags with them, or the same
 * @param extendedFlags transmission flags with extended headers, or the same
 * @param blockSizes it tells its block sizes when asked
 */
record Facts(
    String problem,
    Tls tls,
    boolean go,
    boolean structured,
    boolean extended,
    boolean allocation,
    int handshakeFlags,
    long size,
    int flags,
    int structuredFlags,
    int extendedFlags,
    boolean blockSizes,
    int minimum,
    long preferred,
    long maximum) {
  /** The modes of the text. */
  enum Tls {
    NOTLS,
    FORCEDTLS,
    SELECTIVETLS
  }

  /** Smaller exports have no room for the probes. */
  static final long LEAST_SIZE = 1 << 20;

  static final String NOT_ASKED = "what is offered could not be asked: ";

  static Facts unknown(String problem, int handshakeFlags, Tls tls) {
    return new Facts(
        problem,
        tls,
        true,
        false,
        false,
        false,
        handshakeFlags,
        0,
        0,
        0,
        0,
        false,
        1,
        4096,
        Nbd.PORTABLE_PAYLOAD);
  }

  boolean has(int transmissionFlag) {
    return ((flags | structuredFlags | extendedFlags) & transmissionFlag) != 0;
  }

  /** Returns the longest READ or WRITE that a client may send. */
  long maxPayload() {
    return Math.min(maximum, size);
  }

  /** Asks the server. */
  static Facts of(CheckRun run) throws IOException {
    int handshakeFlags = run.raw().greeting();
    Tls tls = tls(run);
    try {
      return of(run, handshakeFlags, tls);
    } catch (Broken e) {
      return unknown(e.getMessage(), handshakeFlags, tls);
    } catch (UnreachableException | TlsFailedException e) {
      throw e;
    } catch (IOException e) {
      return unknown(NOT_ASKED + CheckRun.told(e), handshakeFlags, tls);
    }
  }

  private static Facts of(CheckRun run, int handshakeFlags, Tls tls) throws IOException {
    boolean plainRefused = tls == Tls.FORCEDTLS && !run.uri().tls();
    if (plainRefused) {
      return unknown("the server wants TLS: use a URI with nbds://", handshakeFlags, tls);
    }
    ClientConnection.Answer answer = go(run, run.negotiation());
    if (answer.is(Nbd.ERR_UNSUP)) {
      return oldServer(run, handshakeFlags, tls);
    }
    ByteBuffer export = answer.info(Nbd.INFO_EXPORT);
    if (!answer.isAck() || export == null) {
      return unknown(
          "GO to export '" + run.export() + "' is answered " + answer, handshakeFlags, tls);
    }
    long size = export.getLong(0);
    if (size < LEAST_SIZE) {
      return unknown(
          "the export has " + size + " bytes, at least 1 MiB is needed", handshakeFlags, tls);
    }
    int flags = export.getShort(8) & 0xffff;
    ByteBuffer sizes = answer.info(Nbd.INFO_BLOCK_SIZE);
    ClientConnection connection = run.negotiation();
    boolean structured = connection.option(Nbd.OPT_STRUCTURED_REPLY, new byte[0]).isAck();
    byte[] query = Packet.meta(run.export(), Nbd.ALLOCATION);
    boolean allocation =
        structured && !connection.option(Nbd.OPT_SET_META_CONTEXT, query).before().isEmpty();
    ClientConnection other = run.negotiation();
    boolean extended = other.option(Nbd.OPT_EXTENDED_HEADERS, new byte[0]).isAck();
    int minimum = sizes == null ? 1 : sizes.getInt(0);
    return new Facts(
        "",
        tls,
        true,
        structured,
        extended,
        allocation,
        handshakeFlags,
        size,
        flags,
        structured ? flagsNow(run, connection, flags) : flags,
        extended ? flagsNow(run, other, flags) : flags,
        sizes != null,
        minimum > 0 && minimum <= 1 << 16 ? minimum : 1,
        sizes == null ? 4096 : sizes.getInt(4) & 0xffffffffL,
        sizes == null ? Nbd.PORTABLE_PAYLOAD : sizes.getInt(8) & 0xffffffffL);
  }

  /** What counts is what GO says: it is what requests go by. */
  private static ClientConnection.Answer go(CheckRun run, ClientConnection connection)
      throws IOException {
    return connection.option(Nbd.OPT_GO, Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE));
  }

  private static int flagsNow(CheckRun run, ClientConnection connection, int otherwise)
      throws IOException {
    ByteBuffer export = go(run, connection).info(Nbd.INFO_EXPORT);
    return export == null ? otherwise : export.getShort(8) & 0xffff;
  }

  private static Facts oldServer(CheckRun run, int handshakeFlags, Tls tls) throws IOException {
    ClientConnection connection = run.negotiation();
    connection.send(Packet.option(Nbd.OPT_EXPORT_NAME, run.exportBytes()));
    ByteBuffer export = connection.read(10);
    long size = export.getLong();
    int flags = export.getShort() & 0xffff;
    return new Facts(
        size < LEAST_SIZE ? "the export has " + size + " bytes, at least 1 MiB is needed" : "",
        tls,
        false,
        false,
        false,
        false,
        handshakeFlags,
        size,
        flags,
        flags,
        flags,
        false,
        1,
        4096,
        Nbd.PORTABLE_PAYLOAD);
  }

  private static Tls tls(CheckRun run) throws IOException {
    ClientConnection connection = run.plain();
    boolean refused = connection.option(Nbd.OPT_LIST, new byte[0]).is(Nbd.ERR_TLS_REQD);
    if (refused) {
      return Tls.FORCEDTLS;
    }
    return connection.option(Nbd.OPT_STARTTLS, new byte[0]).isAck() ? Tls.SELECTIVETLS : Tls.NOTLS;
  }
}
