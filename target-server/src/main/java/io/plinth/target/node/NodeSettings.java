package io.plinth.target.node;

import java.util.Optional;
import java.util.UUID;

/**
 * What a node is told.
 *
 * @param bootId identity of the running machine's boot; the same one as before means that the page
 *     cache has survived
 * @param residentBytesPerLog how much of each log to keep in memory for reads
 * @param defaultVolume the volume that clients get who name none
 */
public record NodeSettings(UUID bootId, long residentBytesPerLog, Optional<String> defaultVolume) {}
