package io.plinth.target.admin;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.TlsMode;
import java.util.List;

/**
 * One volume as a person sees it.
 *
 * @param name its name
 * @param id its identity in the log, never used again after the volume is deleted
 * @param sizeBytes the size that clients see
 * @param mappedBytes the part that has space, shared with snapshots and clones or not; null when
 *     the node that was asked has no replica
 * @param snapshots how many there are of it
 * @param connections clients attached now
 * @param flushPolicy what its acks mean
 * @param description for people; null for none
 * @param tls whether clients encrypt; null for what the server does unless told
 * @param tlsAllow distinguished names of the clients that may attach with TLS; empty for all whose
 *     certificate is good
 * @param core the index of the core that owns it
 * @param epoch changes of its leader that clients have seen
 * @param corruptReads reads failed with EIO since the start because a checksum did not match
 * @param history how far back it can be restored; null when the log tells nothing of it any more
 * @param space what it shares; null unless asked for, because that is counted first
 * @param replicas where it is; null for a node that is in no cluster
 */
public record VolumeInfo(
    String name,
    long id,
    long sizeBytes,
    Long mappedBytes,
    int snapshots,
    int connections,
    FlushPolicy flushPolicy,
    String description,
    TlsMode tls,
    @JsonProperty("tls-allow") List<String> tlsAllow,
    int core,
    long epoch,
    long corruptReads,
    HistoryInfo history,
    SpaceInfo space,
    ReplicasInfo replicas) {
  /** Copies the list. */
  public VolumeInfo {
    tlsAllow = tlsAllow == null ? List.of() : List.copyOf(tlsAllow);
  }
}
