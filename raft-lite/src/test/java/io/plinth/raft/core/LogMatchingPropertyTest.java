package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** A follower's log against the plainest reading of figure 2, on lists. */
class LogMatchingPropertyTest {
  /** AppendEntries, rules 2 to 5, word by word. */
  private static final class PlainFollower {
    List<Long> terms = new ArrayList<>();
    long commit;

    boolean append(long prev, long prevTerm, List<Long> entries, long leaderCommit) {
      if (prev > terms.size() || (prev > 0 && terms.get((int) prev - 1) != prevTerm)) {
        return false;
      }
      for (int i = 0; i < entries.size(); i++) {
        int at = (int) prev + i;
        if (at < terms.size() && !terms.get(at).equals(entries.get(i))) {
          terms = new ArrayList<>(terms.subList(0, at));
        }
        if (at == terms.size()) {
          terms.add(entries.get(i));
        }
      }
      commit = Math.max(commit, Math.min(leaderCommit, prev + entries.size()));
      return true;
    }
  }

  @Test
  void theFollowerDoesWhatFigure2Says() {
    for (long seed = 1; seed <= 500; seed++) {
      SplittableRandom random = new SplittableRandom(seed);
      RaftCore core =
          new RaftCore(
              RaftConfig.defaults(AckPolicy.APPENDED),
              RaftStart.empty(1, Membership.of(1, 2, 3)),
              () -> 0);
      PlainFollower plain = new PlainFollower();
      List<Long> leaderLog = new ArrayList<>();
      for (long term = 1; term <= 6; term++) {
        // The next leader has a part of what is here, all of what is committed, and its own.
        List<Long> base = random.nextBoolean() ? plain.terms : leaderLog;
        int keep = (int) plain.commit;
        if (base.size() > keep) {
          keep += random.nextInt(base.size() - keep + 1);
        }
        leaderLog = new ArrayList<>(base.subList(0, keep));
        for (int i = random.nextInt(5); i >= 0; i--) {
          leaderLog.add(term);
        }
        // What the leader sends arrives in any order, some of it twice.
        for (int message = 0; message < 8; message++) {
          int prev = random.nextInt(leaderLog.size() + 1);
          int count = random.nextInt(leaderLog.size() - prev + 1);
          long prevTerm = prev == 0 ? 0 : leaderLog.get(prev - 1);
          List<Long> entries = leaderLog.subList(prev, prev + count);
          long commit = random.nextInt(leaderLog.size() + 1);

          boolean accepted = plain.append(prev, prevTerm, entries, commit);
          core.step(message(term, prev, prevTerm, entries, commit));

          compare("seed " + seed + " term " + term + " message " + message, core, plain);
          assertThat(accepted || core.commitIndex() <= plain.commit).isTrue();
        }
      }
    }
  }

  private static void compare(String where, RaftCore core, PlainFollower plain) {
    List<Long> terms = new ArrayList<>();
    for (long i = 1; i <= core.log().lastIndex(); i++) {
      terms.add(core.log().term(i));
    }
    assertThat(terms).as(where).isEqualTo(plain.terms);
    // The core may know more: an earlier message of this leader agreed further on.
    assertThat(core.commitIndex()).as(where).isGreaterThanOrEqualTo(plain.commit);
    plain.commit = core.commitIndex();
    core.actions().clear();
  }

  private static Message message(
      long term, long prev, long prevTerm, List<Long> entries, long commit) {
    Message m = new Message().reset(MessageType.APPEND, 2, 1);
    m.term = term;
    m.incarnation = 1;
    m.index = prev;
    m.logTerm = prevTerm;
    m.commit = commit;
    for (long entry : entries) {
      m.addEntry(entry, EntryKind.PAYLOAD, RaftCore.NO_NODE, 0, 1);
    }
    return m;
  }
}
