package io.plinth.target.admin;

/**
 * How far back a volume can be restored.
 *
 * @param fromMs the oldest moment, in milliseconds since the Unix epoch
 * @param fromPosition the same as a position of its log
 * @param position the end of its log now
 */
public record HistoryInfo(long fromMs, long fromPosition, long position) {}
