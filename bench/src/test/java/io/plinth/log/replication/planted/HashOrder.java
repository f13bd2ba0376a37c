package io.plinth.log.replication.planted;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** Planted: collections whose order differs from run to run. */
public final class HashOrder {
  Map<String, String> map() {
    return new HashMap<>();
  }

  Set<String> set() {
    return new HashSet<>();
  }

  Set<String> of() {
    return Set.of("a", "b");
  }
}
