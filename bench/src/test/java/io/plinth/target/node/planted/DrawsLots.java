package io.plinth.target.node.planted;

import java.util.Random;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** Planted: chance without a seed. */
public final class DrawsLots {
  Random random() {
    return new Random();
  }

  double math() {
    return Math.random();
  }

  UUID uuid() {
    return UUID.randomUUID();
  }

  int local() {
    return ThreadLocalRandom.current().nextInt();
  }
}
