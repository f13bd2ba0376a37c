package io.plinth.target.forward;

import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;

/**
 * A volume that another node has clients of, in the session in which it has said so: from BIND to
 * UNBIND, as it may send requests for so long. Attached to the volume only while that is led here.
 */
final class ForwardBinding implements Volume.Attachment {
  final int group;
  final LogVolume volume;
  private final ForwardSession session;
  private boolean attached;

  ForwardBinding(ForwardSession session, int group, LogVolume volume) {
    this.session = session;
    this.group = group;
    this.volume = volume;
    attach();
  }

  void attach() {
    if (!attached) {
      attached = true;
      boolean _ = volume.attach(this);
    }
  }

  void detach() {
    if (attached) {
      attached = false;
      volume.detach(this);
    }
  }

  boolean isAttached() {
    return attached;
  }

  @Override
  public void onVolumeClosed() {
    session.onGone(this);
  }
}
