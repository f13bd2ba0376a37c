package io.plinth.target.nbd;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.target.volume.VolumeDirectory;
import java.util.List;

/** Makes the NBD session of each new connection; one object serves the listeners of all cores. */
public final class NbdAcceptor implements Acceptor {
  private final VolumeDirectory directory;
  private final NbdLimits limits;
  private final NbdTls tls;
  private final List<NbdCoreContext> contexts;

  /**
   * Makes the acceptor.
   *
   * @param contexts one for each core, at the index of {@link Core#id()}
   */
  public NbdAcceptor(
      VolumeDirectory directory, NbdLimits limits, NbdTls tls, List<NbdCoreContext> contexts) {
    this.directory = directory;
    this.limits = limits;
    this.tls = tls;
    this.contexts = List.copyOf(contexts);
    for (int i = 0; i < this.contexts.size(); i++) {
      if (this.contexts.get(i).core().id() != i) {
        throw new IllegalArgumentException("context " + i + " belongs to another core");
      }
    }
  }

  @Override
  public ConnectionHandler onAccept(Connection connection) {
    NbdCoreContext context = context(connection.core());
    if (context.isDraining()) {
      context.counters().connectionRefused();
      return null;
    }
    NbdSession session = new NbdSession(this);
    return session.begin(connection, context) ? session : null;
  }

  /**
   * Ends all sessions of a core; see {@link NbdCoreContext#drain}. On that core's thread.
   *
   * @param whenDone runs there when all have ended
   */
  public void drain(Core core, Runnable whenDone) {
    context(core).drain(whenDone);
  }

  VolumeDirectory directory() {
    return directory;
  }

  NbdLimits limits() {
    return limits;
  }

  NbdTls tls() {
    return tls;
  }

  NbdCoreContext context(Core core) {
    return contexts.get(core.id());
  }
}
