package io.plinth.tools.attach;

import java.util.List;

/** What the kernel's NBD client can be told and asked. */
interface NbdControl extends AutoCloseable {
  /**
   * Attaches a device.
   *
   * @param links their sockets are the kernel's from now on, too
   * @throws AttachException of kind BUSY when the device is attached already
   */
  void connect(int index, Export export, long deadTimeoutS, List<Link> links)
      throws AttachException;

  /** Puts connections in the place of dead ones; those that no dead one is left for are closed. */
  void reconfigure(int index, String volume, List<Link> links) throws AttachException;

  /** Detaches a device; also one that is not attached. */
  void disconnect(int index) throws AttachException;

  /** Returns the numbers of the devices that are attached. */
  List<Integer> attached() throws AttachException;

  /**
   * Waits for the loss of connections of a device.
   *
   * @return how many were lost, 0 when none was in that time; {@link #UNKNOWN} when notifications
   *     were lost
   */
  int awaitDeadLinks(int index, long timeoutMs) throws AttachException;

  int UNKNOWN = -1;

  @Override
  void close();
}
