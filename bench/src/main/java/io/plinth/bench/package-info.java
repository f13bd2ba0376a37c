/**
 * Benchmarks, load generators and comparisons with other block servers. Each runs on threads of its
 * own, against the production classes. Nothing imports it.
 */
package io.plinth.bench;
