package io.plinth.tools.attach;

/**
 * What has happened to an attached device.
 *
 * @param name the word for programs, such as {@code connection_lost}
 * @param message the line for people
 */
public record AttachEvent(String name, String message) {}
