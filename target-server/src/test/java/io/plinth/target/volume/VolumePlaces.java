package io.plinth.target.volume;

/** Where the blocks of a volume are, for tests of other packages that damage them. */
public final class VolumePlaces {
  private VolumePlaces() {}

  /** Returns where a block is in the log, in blocks from its start; 0 or less for nowhere. */
  public static long place(IndexedVolume volume, long block) {
    boolean known = volume.index().bring(block, block) == 0;
    long place = known ? volume.index().place(block) : IndexSpace.UNMAPPED;
    return IndexSpace.isData(place) ? place : 0;
  }
}
