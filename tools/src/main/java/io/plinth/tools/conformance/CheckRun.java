package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * One check at work: it makes connections and probes, and gathers what they find. All of it ends at
 * one deadline.
 */
final class CheckRun {
  private final Options options;
  private final Targets targets;
  private final Deadline deadline;
  private final List<ClientConnection> open = new ArrayList<>();
  private final List<String> failures = new ArrayList<>();
  private final List<Broken> elsewhere = new ArrayList<>();
  private final Set<String> skipped = new LinkedHashSet<>();
  private final List<String> notes = new ArrayList<>();
  private final List<String> passed = new ArrayList<>();
  private boolean onlyShould = true;

  /** What connections are made to. */
  private Server server;

  /** Part of a check. */
  @FunctionalInterface
  interface Probe {
    void run() throws IOException;
  }

  CheckRun(Options options, Targets targets) {
    this.options = options;
    this.targets = targets;
    server = targets.main();
    deadline = Deadline.inMs(options.timeoutMs());
  }

  Options options() {
    return options;
  }

  Targets targets() {
    return targets;
  }

  NbdUri uri() {
    return server.uri();
  }

  Facts facts() {
    return server.facts();
  }

  String export() {
    return uri().export();
  }

  byte[] exportBytes() {
    return export().getBytes(StandardCharsets.UTF_8);
  }

  // Probes.

  /** Makes probes of another server. */
  void at(Server other, Runnable probes) {
    Server before = server;
    server = other;
    try {
      probes.run();
    } finally {
      server = before;
    }
  }

  /** Makes a probe; what it throws is what it has found. */
  void probe(String name, Probe body) {
    probe(name, false, body);
  }

  /** Makes a probe of something that the text only recommends. */
  void should(String name, Probe body) {
    probe(name, true, body);
  }

  private void probe(String what, boolean should, Probe body) {
    String name = server.label().isEmpty() ? what : server.label() + ": " + what;
    if (deadline.leftMs() == 0) {
      skipped.add("no time left for " + name);
      return;
    }
    try {
      body.run();
      passed.add(name);
    } catch (NotOffered e) {
      skipped.add(e.getMessage());
    } catch (Broken e) {
      if (!e.rule().isEmpty()) {
        elsewhere.add(Broken.rule(e.rule(), name + ": " + e.getMessage()));
      } else {
        fail(name + ": " + e.getMessage(), should || e.isShould());
      }
    } catch (IOException e) {
      fail(name + ": " + told(e), should);
    } finally {
      closeAll();
    }
  }

  private void fail(String failure, boolean should) {
    failures.add(failure);
    onlyShould &= should;
  }

  static String told(IOException e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }

  /** Adds to what is said of a pass. */
  void note(String text) {
    notes.add(text);
  }

  /** The check, or what is left of it, is not made. */
  void skip(String why) {
    skipped.add(why);
  }

  static void must(boolean condition, String seen) {
    if (!condition) {
      throw Broken.here(seen);
    }
  }

  static void recommended(boolean condition, String seen) {
    if (!condition) {
      throw Broken.should(seen);
    }
  }

  static void need(boolean condition, String whyNot) {
    if (!condition) {
      throw new NotOffered(whyNot);
    }
  }

  void needExport() {
    need(facts().problem().isEmpty(), facts().problem());
  }

  void needStructured() {
    needExport();
    need(facts().structured(), "structured replies are not offered");
  }

  void needAllocation() {
    needStructured();
    need(facts().allocation(), "the context base:allocation is not offered");
  }

  void needExtended() {
    needExport();
    need(facts().extended(), "extended headers are not offered");
  }

  /** The probe writes. */
  void needWrite() {
    needExport();
    need(!facts().has(Nbd.READ_ONLY), "the export is read-only");
    need(options.mayWrite(), "it would write, and --write was not given");
  }

  /** For how long something is watched that may go on; what comes last still has time then. */
  Deadline patience() {
    return deadline.atMost(options.timeoutMs() - options.waitMs());
  }

  // Connections.

  /** Connects, and says nothing. */
  ClientConnection raw() throws IOException {
    Wire wire = SocketWire.connect(uri(), deadline.atMost(options.waitMs()));
    ClientConnection connection = new ClientConnection(wire, deadline, options.waitMs());
    open.add(connection);
    return connection;
  }

  /** Connects, with client flags; TLS has not begun. */
  ClientConnection plain() throws IOException {
    ClientConnection connection = raw();
    int offered = connection.greeting();
    connection.send(new Packet().u32(offered & (Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES)).toBytes());
    return connection;
  }

  /** Connects up to where options can be sent, with TLS when the URI says so. */
  ClientConnection negotiation() throws IOException {
    ClientConnection connection = plain();
    if (uri().tls()) {
      startTls(connection);
    }
    return connection;
  }

  /** Begins TLS. */
  void startTls(ClientConnection connection) throws IOException {
    ClientConnection.Answer answer = connection.option(Nbd.OPT_STARTTLS, new byte[0]);
    if (!answer.isAck()) {
      throw new TlsFailedException("STARTTLS is answered " + answer, null);
    }
    encrypt(connection);
  }

  /** Makes the handshake of TLS, with these versions or any. */
  void encrypt(ClientConnection connection, String... versions) throws IOException {
    Wire lower = connection.wire();
    Deadline end = connection.deadline();
    connection.switchTo(
        uri().pskFile().isEmpty()
            ? TlsWire.handshake(lower, uri(), end, versions)
            : PskWire.handshake(lower, uri(), end, versions));
  }

  /** Opens the export with simple replies. */
  Transmission simple() throws IOException {
    needExport();
    return enter(negotiation(), ReplyDecoder.Mode.SIMPLE, List.of());
  }

  /** Opens the export with structured replies and metadata contexts. */
  Transmission structured(String... contexts) throws IOException {
    needStructured();
    ClientConnection connection = negotiation();
    acknowledged(connection, Nbd.OPT_STRUCTURED_REPLY);
    return enter(connection, ReplyDecoder.Mode.STRUCTURED, select(connection, contexts));
  }

  /** Opens the export with extended headers and metadata contexts. */
  Transmission extended(String... contexts) throws IOException {
    needExtended();
    ClientConnection connection = negotiation();
    acknowledged(connection, Nbd.OPT_EXTENDED_HEADERS);
    return enter(connection, ReplyDecoder.Mode.EXTENDED, select(connection, contexts));
  }

  /** Opens the export with the best replies that the server has. */
  Transmission any() throws IOException {
    needExport();
    return facts().structured() ? structured() : simple();
  }

  private static void acknowledged(ClientConnection connection, int option) throws IOException {
    ClientConnection.Answer answer = connection.option(option, new byte[0]);
    if (!answer.isAck()) {
      throw new IOException(Nbd.optionName(option) + " is answered " + answer);
    }
  }

  /** Selects metadata contexts and returns their identities. */
  List<Integer> select(ClientConnection connection, String... contexts) throws IOException {
    if (contexts.length == 0) {
      return List.of();
    }
    ClientConnection.Answer answer =
        connection.option(Nbd.OPT_SET_META_CONTEXT, Packet.meta(export(), contexts));
    List<Integer> ids = new ArrayList<>();
    answer.before().forEach(reply -> ids.add(reply.data().getInt(0)));
    if (!answer.isAck() || ids.isEmpty()) {
      throw new IOException(
          "SET_META_CONTEXT of " + Arrays.toString(contexts) + " is answered " + answer);
    }
    return ids;
  }

  /** Leaves the option phase. */
  Transmission enter(ClientConnection connection, ReplyDecoder.Mode mode, List<Integer> contexts)
      throws IOException {
    if (facts().go()) {
      byte[] query = Packet.info(export(), Nbd.INFO_BLOCK_SIZE);
      ClientConnection.Answer answer = connection.option(Nbd.OPT_GO, query);
      if (!answer.isAck()) {
        throw new IOException("GO is answered " + answer);
      }
    } else {
      connection.send(Packet.option(Nbd.OPT_EXPORT_NAME, exportBytes()));
      boolean padded = (facts().handshakeFlags() & Nbd.NO_ZEROES) == 0;
      int _ = connection.read(padded ? 134 : 10).remaining();
    }
    return transmission(connection, mode, contexts);
  }

  Transmission transmission(
      ClientConnection connection, ReplyDecoder.Mode mode, List<Integer> contexts) {
    // Who sets no limit is held to the length of the request by the rules for chunks.
    long most = Math.max(facts().maxPayload(), Nbd.PORTABLE_PAYLOAD);
    return new Transmission(connection, new ReplyDecoder(connection, mode, most), contexts);
  }

  void closeAll() {
    open.forEach(ClientConnection::close);
    open.clear();
  }

  // The result.

  /** Returns breaches of other rules that the probes have met. */
  List<Broken> elsewhere() {
    return elsewhere;
  }

  Result result(Check check) {
    if (!failures.isEmpty()) {
      String prefix = onlyShould ? "SHOULD: " : "";
      return new Result(
          check.id(), check.rule(), Result.Outcome.FAIL, prefix + String.join("; ", failures));
    }
    if (passed.isEmpty()) {
      String why = skipped.isEmpty() ? "nothing to probe" : String.join("; ", skipped);
      return new Result(check.id(), check.rule(), Result.Outcome.SKIP, why);
    }
    List<String> said = new ArrayList<>();
    said.add(String.join(", ", passed));
    said.addAll(notes);
    skipped.forEach(why -> said.add("not probed: " + why));
    return new Result(check.id(), check.rule(), Result.Outcome.PASS, String.join("; ", said));
  }
}
