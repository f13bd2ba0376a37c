package io.plinth.target.volume;

import java.util.Arrays;

/** A growing list of numbers. */
final class IntList {
  private int[] values = new int[256];
  private int size;

  int size() {
    return size;
  }

  int get(int i) {
    return values[i];
  }

  void add(int value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, size * 2);
    }
    values[size++] = value;
  }

  int removeLast() {
    return values[--size];
  }

  /** Takes an element out; the last one takes its place. */
  void removeUnordered(int i) {
    values[i] = values[--size];
  }

  boolean isEmpty() {
    return size == 0;
  }

  void clear() {
    size = 0;
  }
}
