package org.bouncycastle.planted;

/** Planted: stands for a class of a library that is not there yet. */
public final class Key {}
