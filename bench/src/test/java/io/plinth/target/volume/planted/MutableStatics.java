package io.plinth.target.volume.planted;

import java.util.ArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** Planted: state that nodes in one process would share. */
public final class MutableStatics {
  static int counter;
  static final ArrayList<String> LIST = new ArrayList<>();
  static final int[] SHARED = {1};
  static final AtomicLong ATOMIC = new AtomicLong();

  private MutableStatics() {}
}
