package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.MAX_STRING_BYTES;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TOO_BIG;
import static java.nio.ByteOrder.BIG_ENDIAN;

import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;

/**
 * What LIST_META_CONTEXT or SET_META_CONTEXT asks for.
 *
 * @param exportName the export
 * @param queries what is asked for, each {@code namespace:name}
 * @param error type of the error reply, or zero
 * @param problem what is wrong when {@code error} is not zero
 */
record MetaContextQuery(String exportName, List<String> queries, int error, String problem) {

  /**
   * Parses the data of the option:
   *
   * <pre>
   *   | export name length 4 | export name | number of queries 4 | length 4 | query | ... |
   * </pre>
   */
  static MetaContextQuery parse(DirectBuffer buffer, int data, int length) {
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
    long count = buffer.getInt(position, BIG_ENDIAN) & 0xffffffffL;
    position += 4;
    List<String> queries = new ArrayList<>();
    for (long i = 0; i < count; i++) {
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
      queries.add(query);
      position += 4 + (int) queryBytes;
    }
    if (position != end) {
      return invalid("data after the last query");
    }
    return new MetaContextQuery(exportName, queries, 0, "");
  }

  private static MetaContextQuery invalid(String problem) {
    return new MetaContextQuery("", List.of(), REP_ERR_INVALID, problem);
  }

  private static MetaContextQuery tooBig(String problem) {
    return new MetaContextQuery("", List.of(), REP_ERR_TOO_BIG, problem);
  }
}
