package io.plinth.tools.simulator;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Seeds to run, both ends included. */
record SeedRange(long first, long last) {
  long count() {
    return last - first + 1;
  }

  @Override
  public String toString() {
    return first == last ? Long.toString(first) : first + ".." + last;
  }

  /** Reads {@code A..B}. */
  static final class Converter implements ITypeConverter<SeedRange> {
    @Override
    public SeedRange convert(String value) {
      String[] ends = value.split("\\.\\.", -1);
      try {
        SeedRange range =
            ends.length == 2
                ? new SeedRange(Long.parseLong(ends[0]), Long.parseLong(ends[1]))
                : null;
        if (range != null && range.first <= range.last && range.count() > 0) {
          return range;
        }
      } catch (NumberFormatException e) {
        // Told below, in the same words.
      }
      throw new TypeConversionException("'" + value + "' is no range of seeds such as 1..200");
    }
  }
}
