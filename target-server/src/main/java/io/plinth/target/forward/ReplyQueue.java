package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.Status;
import io.plinth.target.volume.ExtentList;
import io.plinth.target.volume.IoVector;
import io.plinth.target.volume.Operation;

/**
 * The replies of one connection, in the order in which their requests completed. A reply that the
 * connection can't take whole is continued later, before any other.
 */
final class ReplyQueue {
  /** Zeroes shorter than this are sent as data. */
  private static final int MIN_HOLE_BYTES = 4096;

  private final ForwardServer server;
  private final Connection connection;
  private ForwardRequest head;
  private ForwardRequest tail;

  // How far the reply at the head has come.

  private boolean begun;
  private int range;
  private int rangeSent;

  /** Zeroes in this range and later ones are sent as data: there are too many runs. */
  private int holeLimit;

  ReplyQueue(ForwardServer server, Connection connection) {
    this.server = server;
    this.connection = connection;
  }

  boolean isEmpty() {
    return head == null;
  }

  void add(ForwardRequest request) {
    if (head == null) {
      head = request;
    } else {
      tail.nextRequest = request;
    }
    tail = request;
  }

  /**
   * Passes the reply at the head, or the rest of it, to the connection.
   *
   * @return the request whose reply is now complete; null when there is no room for all of it, or
   *     when no reply waits
   */
  ForwardRequest writeNext() {
    ForwardRequest request = head;
    if (request == null || !write(request)) {
      return null;
    }
    begun = false;
    return drop();
  }

  /** Takes the reply at the head away; null when there is none. */
  ForwardRequest drop() {
    ForwardRequest request = head;
    if (request != null) {
      head = request.nextRequest;
      request.nextRequest = null;
    }
    return request;
  }

  private boolean write(ForwardRequest request) {
    if (!begun) {
      if (!writeHeader(request)) {
        return false;
      }
      begun = true;
      range = 0;
      rangeSent = 0;
    }
    return request.status != Status.OK || request.operation != Operation.READ || sendData(request);
  }

  private boolean writeHeader(ForwardRequest request) {
    ForwardFrame out = server.out().begin(ForwardFrame.REPLY, request.group);
    ForwardFrame _ = out.id(request.id).status(request.status, request.leader);
    ForwardFrame _ = out.range(request.appliedIndex, 0);
    if (request.status == Status.OK && request.operation == Operation.READ) {
      describeRuns(request.data, out);
    } else if (request.status == Status.OK && request.operation == Operation.BLOCK_STATUS) {
      ExtentList extents = request.extents(0);
      for (int i = 0; i < extents.count(); i++) {
        out.detail(2 * i, extents.length(i));
        out.detail(2 * i + 1, extents.state(i));
      }
      int bytes = extents.count() * ForwardFrame.EXTENT_BYTES;
      ForwardFrame _ = out.count(extents.count()).headerBytes(ForwardFrame.BYTES + bytes);
    }
    return out.send(connection);
  }

  private void describeRuns(IoVector data, ForwardFrame out) {
    holeLimit = data.count();
    int runs = 0;
    int payloadBytes = 0;
    int run = 0;
    for (int i = 0; i < data.count(); i++) {
      int length = data.length(i);
      boolean hole = isHole(data, i);
      // A run ends where the kind changes.
      boolean continues = run != 0 && hole == run < 0;
      if (!continues && run != 0) {
        out.run(runs++, run);
        run = 0;
        if (runs == ForwardFrame.MAX_COUNT - 1) {
          holeLimit = i;
          hole = false;
        }
      }
      run += hole ? -length : length;
      payloadBytes += hole ? 0 : length;
    }
    if (run != 0) {
      out.run(runs++, run);
    }
    int bytes = (runs * ForwardFrame.RUN_BYTES + 7) & -8;
    ForwardFrame _ = out.count(runs).headerBytes(ForwardFrame.BYTES + bytes);
    ForwardFrame _ = out.payload(payloadBytes, 0);
  }

  private boolean isHole(IoVector data, int i) {
    return i < holeLimit && data.address(i) == 0 && data.length(i) >= MIN_HOLE_BYTES;
  }

  private boolean sendData(ForwardRequest request) {
    IoVector data = request.data;
    while (range < data.count()) {
      int length = data.length(range);
      if (isHole(data, range)) {
        range++;
      } else if (data.address(range) == 0) {
        int piece = Math.min(length - rangeSent, server.zeroBytes());
        if (!connection.send(server.zeroAddress(), piece, null, 0)) {
          return false;
        }
        rangeSent += piece;
        if (rangeSent == length) {
          rangeSent = 0;
          range++;
        }
      } else if (lend(request, data.address(range), length)) {
        range++;
      } else {
        return false;
      }
    }
    return true;
  }

  /** Counted before the call, since the loan may end within it. */
  private boolean lend(ForwardRequest request, long address, int length) {
    int before = request.lentRanges;
    request.lentRanges = range + 1;
    request.loansOut++;
    if (connection.send(address, length, request, range)) {
      return true;
    }
    request.lentRanges = before;
    request.loansOut--;
    return false;
  }
}
