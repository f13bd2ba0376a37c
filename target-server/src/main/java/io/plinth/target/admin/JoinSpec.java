package io.plinth.target.admin;

/**
 * A node that is to join a cluster.
 *
 * @param node its number
 * @param address where the other nodes are to reach its log 0, {@code HOST:PORT}
 * @param admin where its admin API will be
 * @param rack what fails together with it; empty when that is not known
 */
public record JoinSpec(int node, String address, String admin, String rack) {}
