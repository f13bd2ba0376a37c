package io.plinth.raft.core;

/** Cores, actions and messages in one line each. */
final class CoreText {
  private CoreText() {}

  static String state(RaftCore core) {
    return core.role()
        + " term="
        + core.term()
        + " leader="
        + node(core.leader())
        + " last="
        + core.log().lastIndex()
        + "/"
        + core.log().lastTerm()
        + " commit="
        + core.commitIndex()
        + (core.epoch() > 0 ? " epoch=" + core.epoch() : "")
        + (core.isRecovering() ? " recovering" : "")
        + (core.hasLostDisk() ? " lost-disk" : "")
        + (core.recoveredTo() < Long.MAX_VALUE ? " recovered-to=" + core.recoveredTo() : "")
        + (core.quiescence.isQuiet() ? " quiet" : "");
  }

  static String node(int node) {
    return node == RaftCore.NO_NODE ? "-" : Integer.toString(node);
  }

  static String action(Action a) {
    return switch (a.kind()) {
      case SEND -> "send " + message(a.message());
      case APPEND -> "append " + a.firstIndex() + ".." + a.index();
      case PERSIST_HARD_STATE ->
          "persist term="
              + a.term()
              + " vote="
              + node(a.node())
              + (a.recovering() ? " recovering" : "");
      case COMMIT -> "commit " + a.index();
      case FLUSHED -> "flushed " + a.index();
      case ROLE -> "role " + a.role() + " term=" + a.term() + " leader=" + node(a.node());
      case READ_GRANTED -> "read " + a.id() + " granted at " + a.index();
      case READ_REFUSED -> "read " + a.id() + " refused";
      case RESYNC_NEEDED -> "resync needed by " + a.node();
      case COMMITTED_LOST -> "committed lost from " + a.index();
      case EPOCH_RAISED -> "epoch raised to " + a.term();
      case SYNC_WANTED -> "sync wanted";
      case CONTRADICTION -> "contradiction at " + a.index();
    };
  }

  static String message(Message m) {
    StringBuilder text = new StringBuilder();
    text.append(m.from).append("->").append(m.to).append(' ').append(m.type);
    text.append(" term=").append(m.term);
    switch (m.type) {
      case PRE_VOTE, REQUEST_VOTE ->
          text.append(" last=")
              .append(m.index)
              .append('/')
              .append(m.logTerm)
              .append(m.transfer ? " transfer" : "")
              .append(m.recoveryElection ? " recovery" : "");
      case PRE_VOTE_RESPONSE, REQUEST_VOTE_RESPONSE ->
          text.append(m.granted ? " granted" : " refused").append(m.logOk ? " log-ok" : "");
      case APPEND -> {
        text.append(" prev=").append(m.index).append('/').append(m.logTerm);
        text.append(" commit=").append(m.commit).append(" entries=[");
        for (int i = 0; i < m.entryCount; i++) {
          text.append(i > 0 ? " " : "").append(m.terms[i]).append(':');
          text.append(
              m.kinds[i] == EntryKind.PAYLOAD ? Long.toString(m.places[i]) : m.kinds[i].toString());
          text.append(m.subjects[i] == RaftCore.NO_NODE ? "" : "(" + m.subjects[i] + ")");
        }
        text.append(']');
      }
      case HEARTBEAT -> text.append(" commit=").append(m.commit).append(" round=").append(m.round);
      case APPEND_RESPONSE -> {
        if (m.granted) {
          text.append(" matched=").append(m.index);
          text.append(" appended=").append(m.appended).append(" durable=").append(m.durable);
          text.append(" round=").append(m.round);
        } else {
          text.append(" refused=").append(m.refusedIndex);
          text.append(" hint=").append(m.index).append('/').append(m.logTerm);
        }
      }
      case TIMEOUT_NOW, APPENDED, DURABLE, HARD_STATE_DURABLE -> {}
    }
    if (m.recoverTo > 0) {
      text.append(" recover-to=").append(m.recoverTo);
    }
    return text.append(m.recovering ? " recovering" : "")
        .append(m.quiet ? " quiet" : "")
        .toString();
  }
}
