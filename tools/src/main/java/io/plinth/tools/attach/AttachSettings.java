package io.plinth.tools.attach;

import java.util.List;

/**
 * What to attach, and how.
 *
 * @param index of the device
 * @param servers {@code HOST:PORT} or {@code unix:PATH}; tried in this order
 * @param connections to one server
 * @param deadTimeoutS for how long requests wait for a new connection before they fail
 * @param keep whether the device stays attached when this process ends
 */
public record AttachSettings(
    String volume,
    int index,
    List<String> servers,
    int connections,
    long deadTimeoutS,
    boolean keep) {}
