package io.plinth.target.volume;

/**
 * A first-in first-out queue of requests, linked through themselves, so that queueing allocates
 * nothing.
 */
final class RequestQueue {
  private VolumeRequest head;
  private VolumeRequest tail;

  boolean isEmpty() {
    return head == null;
  }

  VolumeRequest peek() {
    return head;
  }

  void add(VolumeRequest request) {
    request.next = null;
    if (head == null) {
      head = request;
    } else {
      tail.next = request;
    }
    tail = request;
  }

  VolumeRequest poll() {
    VolumeRequest request = head;
    if (request != null) {
      head = request.next;
      request.next = null;
    }
    return request;
  }
}
