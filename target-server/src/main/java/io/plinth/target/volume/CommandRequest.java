package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/** A command on its way through the log of a volume's group. */
final class CommandRequest extends VolumeRequest {
  private final VolumeStore store;
  private final LogVolume target;
  private final BooleanSupplier allowed;
  private final IntConsumer done;

  CommandRequest(
      VolumeStore store,
      LogVolume target,
      VolumeCommand command,
      BooleanSupplier allowed,
      IntConsumer done) {
    this.store = store;
    this.target = target;
    this.command = command;
    this.allowed = allowed;
    this.done = done;
    this.fua = true;
  }

  /** Begins the command as soon as that is possible, unless it is not allowed any more. */
  void submit() {
    if (command.kind() == VolumeCommand.Kind.RESIZE) {
      // What was begun is not cut off unasked either.
      int ready = store.isApplied(target) ? target.bringForSize(command.number()) : Status.EAGAIN;
      if (ready == Status.EAGAIN) {
        store.awaitReady(this::submit);
        return;
      }
      if (ready != Status.OK) {
        done.accept(ready);
        return;
      }
    }
    if (!allowed.getAsBoolean()) {
      return;
    }
    if (command.kind() == VolumeCommand.Kind.ROLLBACK && target.group().isAlone()) {
      // With other members it is when the command is applied: perhaps another node leads.
      target.disconnect();
    }
    if (!target.begin(this)) {
      store.awaitReady(this::submit);
    }
  }

  @Override
  protected void onCompleted(int status) {
    done.accept(status);
  }
}
