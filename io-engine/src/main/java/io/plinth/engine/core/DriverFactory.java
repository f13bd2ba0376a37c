package io.plinth.engine.core;

/** Makes the driver of a core on the core's own thread. */
@FunctionalInterface
public interface DriverFactory {
  /**
   * Makes a driver.
   *
   * @throws DriverException when the operating system refuses; the message says why and what to do
   */
  IoDriver create(int coreId) throws DriverException;
}
