package io.plinth.target.planted;

import io.plinth.target.main.ServerConfig;

/** Planted: knows the composition root. */
public final class UsesMain {
  ServerConfig other;
}
