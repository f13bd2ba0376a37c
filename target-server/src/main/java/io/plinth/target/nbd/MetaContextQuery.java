package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.ALLOCATION_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.MAX_STRING_BYTES;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TOO_BIG;
import static java.nio.ByteOrder.BIG_ENDIAN;

import org.agrona.DirectBuffer;

/**
 * What LIST_META_CONTEXT or SET_META_CONTEXT asks for.
 *
 * @param exportName the export
 * @param allocation {@code base:allocation} is meant by at least one query
 * @param error type of the error reply, or zero
 * @param problem what is wrong when {@code error} is not zero
 */
record MetaContextQuery(String exportName, boolean allocation, int error, String problem) {
  private static final String BASE_WILDCARD = "base:";

  /**
   * Parses the data of the option:
   *
   * <pre>
   *   | export name length 4 | export name | number of queries 4 | length 4 | query | ... |
   * </pre>
   *
   * @param list for LIST, where no query means all contexts and {@code base:} is a wildcard
   */
  static MetaContextQuery parse(DirectBuffer buffer, int data, int length, boolean list) {
    if (length < 8) {
      return invalid("option data too short");
    }
    int end = data + length;
    long nameBytes = buffer.getInt(data, BIG_ENDIAN) & 0xffffffffL;
    if (nameBytes > length - 8) {
      return invalid("name longer than the option");
    }
    if (nameBytes > MAX_STRING_BYTES) {
      return tooBig("name of more than 4096 bytes");
    }
    String exportName = ExportQuery.decode(buffer, data + 4, (int) nameBytes);
    if (exportName == null) {
      return invalid("name is not UTF-8");
    }
    int position = data + 4 + (int) nameBytes;
    long queries = buffer.getInt(position, BIG_ENDIAN) & 0xffffffffL;
    position += 4;
    boolean allocation = list && queries == 0;
    for (long i = 0; i < queries; i++) {
      long queryBytes = end - position < 4 ? -1 : buffer.getInt(position, BIG_ENDIAN) & 0xffffffffL;
      if (queryBytes < 0 || queryBytes > end - position - 4) {
        return invalid("query longer than the option");
      }
      if (queryBytes > MAX_STRING_BYTES) {
        return tooBig("query of more than 4096 bytes");
      }
      String query = ExportQuery.decode(buffer, position + 4, (int) queryBytes);
      if (query == null || query.indexOf(':') <= 0) {
        return invalid("query is not namespace:name");
      }
      allocation |= query.equals(ALLOCATION_CONTEXT) || (list && query.equals(BASE_WILDCARD));
      position += 4 + (int) queryBytes;
    }
    if (position != end) {
      return invalid("data after the last query");
    }
    return new MetaContextQuery(exportName, allocation, 0, "");
  }

  private static MetaContextQuery invalid(String problem) {
    return new MetaContextQuery("", false, REP_ERR_INVALID, problem);
  }

  private static MetaContextQuery tooBig(String problem) {
    return new MetaContextQuery("", false, REP_ERR_TOO_BIG, problem);
  }
}
