package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.EXPORT_NAME_PADDING_BYTES;
import static io.plinth.target.nbd.NbdProtocol.INFO_BLOCK_SIZE;
import static io.plinth.target.nbd.NbdProtocol.INFO_DESCRIPTION;
import static io.plinth.target.nbd.NbdProtocol.INFO_EXPORT;
import static io.plinth.target.nbd.NbdProtocol.INFO_NAME;
import static io.plinth.target.nbd.NbdProtocol.MAX_STRING_BYTES;
import static io.plinth.target.nbd.NbdProtocol.MINIMUM_BLOCK_BYTES;
import static io.plinth.target.nbd.NbdProtocol.OPTION_MAGIC;
import static io.plinth.target.nbd.NbdProtocol.OPTION_REPLY_HEADER_BYTES;
import static io.plinth.target.nbd.NbdProtocol.OPTION_REPLY_MAGIC;
import static io.plinth.target.nbd.NbdProtocol.PREFERRED_BLOCK_BYTES;
import static io.plinth.target.nbd.NbdProtocol.REP_ACK;
import static io.plinth.target.nbd.NbdProtocol.REP_INFO;
import static io.plinth.target.nbd.NbdProtocol.REP_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.REP_SERVER;
import static java.nio.ByteOrder.BIG_ENDIAN;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.plinth.engine.api.Connection;
import io.plinth.target.volume.VolumeSettings;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Writes what a server says during negotiation.
 *
 * <pre>
 *   greeting:     | NBDMAGIC 8 | IHAVEOPT 8 | handshake flags 2 |
 *   option reply: | magic 8 | option 4 | type 4 | length 4 | data |
 *   EXPORT_NAME:  | size 8 | transmission flags 2 | 124 zeroes, unless left out |
 * </pre>
 *
 * <p>Replies collect in a scratch buffer until the one that ends the answer to an option; then they
 * are claimed together, since a connection promises room for one claim at a time. The caller has
 * asked {@link #hasRoom} before; what does not fit then is a broken invariant.
 */
final class OptionReplies {
  /** Enough for the replies to any one option but the lists, which go name by name. */
  static final int ROOM_BYTES = MAX_STRING_BYTES + VolumeSettings.MAXIMUM_DESCRIPTION_BYTES + 1024;

  private final Connection connection;

  /** Shared by the sessions of a core: it is empty between their turns. */
  private final UnsafeBuffer scratch;

  private int length;

  /**
   * Makes the replies to one client.
   *
   * @param scratch {@link #ROOM_BYTES} that nobody else uses before the answer has ended
   */
  OptionReplies(Connection connection, UnsafeBuffer scratch) {
    this.connection = connection;
    this.scratch = scratch;
  }

  /** Returns whether an option may be answered now. */
  boolean hasRoom() {
    return connection.canSend(ROOM_BYTES, 0);
  }

  // What ends an answer.

  void greeting(int handshakeFlags) {
    int at = append(NbdProtocol.GREETING_BYTES);
    scratch.putLong(at, NbdProtocol.INIT_MAGIC, BIG_ENDIAN);
    scratch.putLong(at + 8, OPTION_MAGIC, BIG_ENDIAN);
    scratch.putShort(at + 16, (short) handshakeFlags, BIG_ENDIAN);
    flush();
  }

  void ack(int option) {
    header(option, REP_ACK, 0);
    flush();
  }

  /** Refuses an option, with a sentence for people. */
  void error(int option, int type, String message) {
    byte[] text = message.getBytes(UTF_8);
    int at = header(option, type, text.length);
    scratch.putBytes(at, text);
    flush();
  }

  /** Names one export in answer to LIST; this one leaves before the answer ends. */
  void server(int option, byte[] name, byte[] description) {
    int at = header(option, REP_SERVER, 4 + name.length + description.length);
    scratch.putInt(at, name.length, BIG_ENDIAN);
    scratch.putBytes(at + 4, name);
    scratch.putBytes(at + 4 + name.length, description);
    flush();
  }

  /** Names one context in answer to LIST_META_CONTEXT; it leaves before the answer ends. */
  void listedContext(int option, String name) {
    // The identity in a list is reserved.
    metaContext(option, 0, name);
    flush();
  }

  void exportName(Export export, boolean padding) {
    int paddingBytes = padding ? EXPORT_NAME_PADDING_BYTES : 0;
    int at = append(10 + paddingBytes);
    scratch.putLong(at, export.sizeBytes(), BIG_ENDIAN);
    scratch.putShort(at + 8, (short) export.transmissionFlags(), BIG_ENDIAN);
    scratch.setMemory(at + 10, paddingBytes, (byte) 0);
    flush();
  }

  // What comes before an ACK.

  void infoExport(int option, Export export) {
    int at = header(option, REP_INFO, 12);
    scratch.putShort(at, (short) INFO_EXPORT, BIG_ENDIAN);
    scratch.putLong(at + 2, export.sizeBytes(), BIG_ENDIAN);
    scratch.putShort(at + 10, (short) export.transmissionFlags(), BIG_ENDIAN);
  }

  void infoName(int option, byte[] name) {
    infoText(option, INFO_NAME, name);
  }

  void infoDescription(int option, byte[] description) {
    infoText(option, INFO_DESCRIPTION, description);
  }

  private void infoText(int option, int type, byte[] text) {
    int at = header(option, REP_INFO, 2 + text.length);
    scratch.putShort(at, (short) type, BIG_ENDIAN);
    scratch.putBytes(at + 2, text);
  }

  void infoBlockSize(int option, Export export) {
    int at = header(option, REP_INFO, 14);
    scratch.putShort(at, (short) INFO_BLOCK_SIZE, BIG_ENDIAN);
    scratch.putInt(at + 2, MINIMUM_BLOCK_BYTES, BIG_ENDIAN);
    scratch.putInt(at + 6, PREFERRED_BLOCK_BYTES, BIG_ENDIAN);
    scratch.putInt(at + 10, export.maxPayloadBytes(), BIG_ENDIAN);
  }

  void metaContext(int option, int id, String name) {
    byte[] text = name.getBytes(UTF_8);
    int at = header(option, REP_META_CONTEXT, 4 + text.length);
    scratch.putInt(at, id, BIG_ENDIAN);
    scratch.putBytes(at + 4, text);
  }

  /** Returns where the data goes. */
  private int header(int option, int type, int dataBytes) {
    int at = append(OPTION_REPLY_HEADER_BYTES + dataBytes);
    scratch.putLong(at, OPTION_REPLY_MAGIC, BIG_ENDIAN);
    scratch.putInt(at + 8, option, BIG_ENDIAN);
    scratch.putInt(at + 12, type, BIG_ENDIAN);
    scratch.putInt(at + 16, dataBytes, BIG_ENDIAN);
    return at + OPTION_REPLY_HEADER_BYTES;
  }

  private int append(int bytes) {
    int at = length;
    length += bytes;
    return at;
  }

  private void flush() {
    int at = connection.claim(length);
    if (at < 0) {
      throw new IllegalStateException("the connection refuses what it said it had room for");
    }
    MutableDirectBuffer out = connection.outputBuffer();
    out.putBytes(at, scratch, 0, length);
    length = 0;
  }
}
