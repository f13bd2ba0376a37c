package io.plinth.target.volume.planted;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** Planted: looks like the offenders and is none. */
public final class Innocent {
  static final int LIMIT = 5;
  static final List<String> NAMES = List.of("a");
  private static final int[] TABLE = {1, 2};

  private final Map<String, String> ordered = new LinkedHashMap<>();
  private final Map<String, String> sorted = new TreeMap<>();
  private final List<String> list = new ArrayList<>();

  /** Planted: an enum and a switch over it make synthetic static arrays. */
  public enum Kind {
    ONE,
    TWO
  }

  EnumSet<Kind> kinds() {
    return EnumSet.of(Kind.ONE);
  }

  int pick(Kind kind, Random seeded) {
    return switch (kind) {
      case ONE -> TABLE[0] + LIMIT;
      case TWO -> seeded.nextInt(2) + ordered.size() + sorted.size() + list.size();
    };
  }

  CompletableFuture<String> answer() {
    return CompletableFuture.completedFuture(NAMES.getFirst()).thenApply(String::strip);
  }
}
