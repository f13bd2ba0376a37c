package io.plinth.target.nbd;

/** How requests are framed and answered; each form is negotiated in place of the one before it. */
enum ReplyFormat {
  /** What every client understands: a header, and the data of a READ behind it. */
  SIMPLE,

  /** STRUCTURED_REPLY: chunks. */
  STRUCTURED,

  /** EXTENDED_HEADERS: chunks, and lengths of 64 bits both ways. */
  EXTENDED;

  boolean hasChunks() {
    return this != SIMPLE;
  }

  /** Returns the length of a request without its payload. */
  int requestBytes() {
    return this == EXTENDED
        ? NbdProtocol.EXTENDED_REQUEST_HEADER_BYTES
        : NbdProtocol.REQUEST_HEADER_BYTES;
  }

  /** Returns how a request begins. */
  int requestMagic() {
    return this == EXTENDED ? NbdProtocol.EXTENDED_REQUEST_MAGIC : NbdProtocol.REQUEST_MAGIC;
  }

  /** Returns the length of a chunk without its payload. */
  int chunkBytes() {
    return this == EXTENDED
        ? NbdProtocol.EXTENDED_CHUNK_HEADER_BYTES
        : NbdProtocol.CHUNK_HEADER_BYTES;
  }
}
