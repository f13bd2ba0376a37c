package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;
import static io.plinth.tools.conformance.CheckRun.need;
import static io.plinth.tools.conformance.CheckRun.recommended;

import io.plinth.tools.conformance.ClientConnection.Answer;
import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** E5: the server is asked to stop while clients are busy. */
final class ShutdownChecks {
  private static final String RULE = "E5";
  private static final int SLOTS = 8;

  /** Requests of a server that never stops. */
  private static final int MOST_ROUNDS = 1_000_000;

  private ShutdownChecks() {}

  static boolean isLast(Check check) {
    return check.id().equals(RULE);
  }

  static void stop(CheckRun run) {
    Means.Stop stop = run.options().means().stop();
    if (stop == null) {
      run.skip("needs a way to stop the server: --stop-command");
      return;
    }
    run.should("clients while the server stops", () -> new Shutdown(run, stop).watch());
  }

  /** A place of the export, and what was done to it last. */
  private static final class Slot {
    private final long offset;
    private byte[] written;
    private Request request;
    private boolean beforeStop;

    Slot(long offset) {
      this.offset = offset;
    }
  }

  private static final class Shutdown {
    private final CheckRun run;
    private final Means.Stop stop;
    private final Slot[] slots = new Slot[SLOTS];
    private Transmission session;
    private ClientConnection options;
    private CompletableFuture<Void> asked;
    private boolean optionsEnded;
    private boolean sessionEnded;
    private boolean told;
    private String optionsSaw = "";
    private long sent;

    Shutdown(CheckRun run, Means.Stop stop) {
      this.run = run;
      this.stop = stop;
    }

    void watch() throws IOException {
      session = run.any();
      options = run.negotiation();
      must(option().isAck(), "INFO before it is not answered ACK");
      for (int i = 0; i < SLOTS; i++) {
        slots[i] = new Slot((long) i * Content.BLOCK);
        send(slots[i]);
        slots[i].beforeStop = true;
      }
      asked = new CompletableFuture<>();
      Thread _ = Thread.ofVirtual().start(this::ask);
      Deadline end = run.patience();
      for (int i = 0; i < MOST_ROUNDS && end.leftMs() > 0 && !over(); i++) {
        sessionStep();
        optionsStep();
      }
      failIfNotAsked();
      need(sessionEnded || optionsEnded, "the server goes on serving its connections");
      recommended(sessionEnded, "INFO is refused, and requests are served as before");
      recommended(optionsEnded, "requests are refused, and INFO is answered as before");
      String how = told ? "requests get ESHUTDOWN" : "the connection in transmission is closed";
      run.note(how + (optionsSaw.isEmpty() ? "" : ", options " + optionsSaw));
    }

    private boolean over() {
      return sessionEnded && optionsEnded;
    }

    private void ask() {
      try {
        stop.ask();
        boolean _ = asked.complete(null);
      } catch (IOException e) {
        boolean _ = asked.completeExceptionally(e);
      }
    }

    private void failIfNotAsked() {
      if (asked.isCompletedExceptionally()) {
        try {
          Void _ = asked.get();
        } catch (ExecutionException e) {
          throw new NotOffered("--stop-command " + e.getCause().getMessage());
        } catch (InterruptedException _) {
          Thread.currentThread().interrupt();
        }
      }
    }

    // The connection in transmission.

    private void send(Slot slot) throws IOException {
      boolean write = run.options().mayWrite() && !run.facts().has(Nbd.READ_ONLY);
      long cookie = session.nextCookie();
      slot.beforeStop = false;
      if (write && (slot.request == null || slot.request.command() == Nbd.READ)) {
        byte[] data = Content.random(++sent, Content.BLOCK);
        int flags = session.isExtended() ? Nbd.PAYLOAD_LEN : 0;
        slot.written = data;
        slot.request =
            new Request(Nbd.WRITE, flags, cookie, slot.offset, data.length, session.contexts());
        Request _ = session.send(slot.request, data);
      } else {
        slot.request =
            new Request(Nbd.READ, 0, cookie, slot.offset, Content.BLOCK, session.contexts());
        Request _ = session.send(slot.request, new byte[0]);
      }
    }

    /** Waits for the oldest request of each slot, and goes on until the server will not. */
    private void sessionStep() throws IOException {
      if (sessionEnded) {
        return;
      }
      for (Slot slot : slots) {
        try {
          if (!answered(slot, session.await(slot.request))) {
            leave(slot);
            return;
          }
          send(slot);
        } catch (ClosedException _) {
          closed();
          return;
        } catch (NoAnswerException _) {
          throw Broken.here(slot.request + " is neither answered nor is the connection closed");
        } catch (Broken e) {
          throw e.rule().isEmpty() ? e : Broken.here(e.getMessage());
        }
      }
    }

    private boolean answered(Slot slot, Reply reply) {
      if (reply.error() == Nbd.ESHUTDOWN) {
        return false;
      }
      recommended(reply.error() == 0, slot.request + " is answered " + reply);
      if (slot.request.command() == Nbd.READ && slot.written != null) {
        must(
            Arrays.equals(slot.written, reply.data()),
            slot.request + ": what a WRITE was acknowledged for is not there");
      }
      return true;
    }

    private void closed() {
      sessionEnded = true;
      recommended(!session.isInsideReply(), "the connection is closed in the middle of a reply");
      for (Slot slot : slots) {
        recommended(
            !slot.beforeStop,
            slot.request + " was under way before the stop, and the connection is closed first");
      }
    }

    /** Once the server has said ESHUTDOWN a client has to leave. */
    private void leave(Slot first) throws IOException {
      told = true;
      try {
        for (Slot slot : slots) {
          if (slot != first) {
            boolean _ = answered(slot, session.await(slot.request));
          }
        }
        byte[] disconnect =
            session.header(
                new Request(Nbd.DISC, 0, session.nextCookie(), 0, 0, session.contexts()), 0);
        session.connection().send(disconnect);
        session.connection().expectEnd("DISC after ESHUTDOWN");
        sessionEnded = true;
      } catch (ClosedException _) {
        closed();
      }
    }

    // The connection in the option phase.

    private Answer option() throws IOException {
      return options.option(Nbd.OPT_INFO, Packet.info(run.export(), Nbd.INFO_BLOCK_SIZE));
    }

    private void optionsStep() throws IOException {
      if (optionsEnded) {
        return;
      }
      try {
        Answer answer = option();
        if (answer.is(Nbd.ERR_SHUTDOWN)) {
          optionsSaw = "get ERR_SHUTDOWN";
          optionsEnded = true;
        } else {
          recommended(answer.isAck(), "INFO is answered " + answer);
        }
      } catch (ClosedException _) {
        optionsEnded = true;
        optionsSaw = "end with the connection";
      } catch (NoAnswerException _) {
        throw Broken.here("INFO is neither answered nor is the connection closed");
      } catch (Broken e) {
        throw e.rule().isEmpty() ? e : Broken.here(e.getMessage());
      }
    }
  }
}
