package io.plinth.target.planted;

import org.bouncycastle.planted.Key;

/** Planted: handles keys itself. */
public final class UsesBouncyCastle {
  Key other;
}
