package io.plinth.target.admin;

/**
 * What one kind of operation on one volume has cost since the server started. Times run from the
 * request being received to its reply being handed to the socket; zero when {@code count} is zero.
 *
 * @param operation {@code read}, {@code write}, {@code flush}, {@code trim}, {@code write_zeroes},
 *     {@code cache} or {@code block_status}
 * @param count operations finished, failed ones included
 * @param errors operations that failed
 * @param bytes bytes asked for by the operations that did not fail
 * @param p50Ns median, nanoseconds
 * @param p90Ns 90th percentile, nanoseconds
 * @param p99Ns 99th percentile, nanoseconds
 * @param p999Ns 99.9th percentile, nanoseconds
 * @param maxNs the longest, nanoseconds
 */
public record OperationStats(
    String operation,
    long count,
    long errors,
    long bytes,
    long p50Ns,
    long p90Ns,
    long p99Ns,
    long p999Ns,
    long maxNs) {}
