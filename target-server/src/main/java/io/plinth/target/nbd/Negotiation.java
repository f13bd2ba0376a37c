package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CLIENT_FLAGS_BYTES;
import static io.plinth.target.nbd.NbdProtocol.HANDSHAKE_FIXED_NEWSTYLE;
import static io.plinth.target.nbd.NbdProtocol.HANDSHAKE_NO_ZEROES;
import static io.plinth.target.nbd.NbdProtocol.INFO_DESCRIPTION;
import static io.plinth.target.nbd.NbdProtocol.INFO_NAME;
import static io.plinth.target.nbd.NbdProtocol.MAX_CONTEXTS;
import static io.plinth.target.nbd.NbdProtocol.OPTION_HEADER_BYTES;
import static io.plinth.target.nbd.NbdProtocol.OPTION_MAGIC;
import static io.plinth.target.nbd.NbdProtocol.OPT_ABORT;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXPORT_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXTENDED_HEADERS;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_INFO;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_SET_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_STARTTLS;
import static io.plinth.target.nbd.NbdProtocol.OPT_STRUCTURED_REPLY;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_EXT_HEADER_REQD;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_POLICY;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_SHUTDOWN;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TLS_REQD;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TOO_BIG;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_UNKNOWN;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_UNSUP;
import static java.nio.ByteOrder.BIG_ENDIAN;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.Timers;
import io.plinth.engine.api.TlsException;
import io.plinth.target.volume.StatusContext;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.Volume;
import java.util.List;
import org.agrona.DirectBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The handshake of one session: the client's flags, then options one at a time, each answered
 * before the next is looked at, until EXPORT_NAME or GO opens a volume.
 *
 * <pre>
 *   client flags: | flags 4 |
 *   option:       | IHAVEOPT 8 | option 4 | length 4 | data |
 * </pre>
 *
 * <p>STARTTLS puts {@link NbdTls} below the connection; nothing that was negotiated before counts
 * after it.
 */
final class Negotiation implements Timers.Task {
  private enum State {
    CLIENT_FLAGS,
    OPTION,
    /** Data of an option too long to be looked at goes by. */
    SKIP,
    /** The answer to LIST or LIST_META_CONTEXT is being written. */
    LIST,
    /** TLS shakes hands; what arrives belongs to it. */
    TLS,
    /** On the way to the core of the volume. */
    MOVING,
    OVER
  }

  private static final Logger LOG = LoggerFactory.getLogger(Negotiation.class);

  private final NbdSession session;
  private final NbdAcceptor acceptor;
  private final NbdLimits limits;
  private final NbdTls tls;

  private Connection connection;
  private NbdCoreContext context;
  private OptionReplies replies;
  private State state = State.CLIENT_FLAGS;
  private boolean paused;

  private boolean fixedNewstyle;
  private boolean noZeroes;
  private ReplyFormat format = ReplyFormat.SIMPLE;

  /** Name of the volume that metadata contexts were selected for, or null. */
  private String contextVolume;

  private List<StatusContext> contexts = List.of();

  /** Bytes were left that are not yet a whole option. */
  private boolean partialOption;

  // The option being worked on.

  private int option;
  private int skipRemaining;
  private List<String> listed;

  /** What {@link #listed} are the names of, in answer to LIST. */
  private List<Volume> listedVolumes = List.of();

  private int nextListed;

  /** What EXPORT_NAME or GO asked for, kept while the connection moves. */
  private ExportQuery openQuery;

  private long timer;
  private long lastOptionNs;

  Negotiation(NbdSession session, NbdAcceptor acceptor) {
    this.session = session;
    this.acceptor = acceptor;
    this.limits = acceptor.limits();
    this.tls = acceptor.tls();
  }

  /** Greets a new client. */
  void begin(Connection newConnection, NbdCoreContext newContext) {
    arrive(newConnection, newContext);
    lastOptionNs = context.core().clock().nowNs();
    armTimer(lastOptionNs);
    replies.greeting(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES);
  }

  /** The connection has come to the core of the volume; now the client gets its answer. */
  void onMoved(Connection moved, NbdCoreContext newContext) {
    arrive(moved, newContext);
    armTimer(context.core().clock().nowNs());
    state = State.OPTION;
    if (context.isDraining()) {
      refuseForShutdown();
      return;
    }
    Volume volume = acceptor.directory().find(openQuery.name());
    if (volume == null || volume.core().id() != connection.core().id()) {
      // Deleted or moved on while the connection was on its way.
      refuseUnknownExport();
    } else if (admit(volume)) {
      open(volume);
    }
  }

  /** TLS is below the connection from now on; the client begins with the options once more. */
  void onSecured() {
    lastOptionNs = context.core().clock().nowNs();
    state = State.OPTION;
    closeIfDraining();
  }

  /** Ends the time limit. */
  void stop() {
    if (timer != 0) {
      context.core().timers().cancel(timer);
      timer = 0;
    }
  }

  /** Returns whether the client has asked for nothing that is not answered. */
  boolean isIdle() {
    return switch (state) {
      case CLIENT_FLAGS, OPTION -> !partialOption;
      case TLS -> true;
      case SKIP, LIST, MOVING, OVER -> false;
    };
  }

  int onReceive(DirectBuffer buffer, int offset, int length) {
    int position = offset;
    int end = offset + length;
    int consumed = 1;
    while (consumed > 0 && !paused && !session.isClosing()) {
      consumed =
          switch (state) {
            case CLIENT_FLAGS -> receiveClientFlags(buffer, position, end - position);
            case OPTION -> receiveOption(buffer, position, end - position);
            case SKIP -> skip(end - position);
            case LIST, TLS, MOVING, OVER -> 0;
          };
      position += consumed;
    }
    partialOption = position < end;
    closeIfDraining();
    return position - offset;
  }

  void onWritable() {
    if (!paused) {
      return;
    }
    if (state == State.LIST) {
      continueList();
    } else if (replies.hasRoom()) {
      paused = false;
    }
    if (!paused && !session.isClosing()) {
      connection.resumeReceive();
    }
  }

  /** The client had its time for one option. */
  @Override
  public void onTimer(long nowNs) {
    if (nowNs - lastOptionNs >= limits.handshakeTimeoutNs()) {
      timer = 0;
      context.counters().handshakeTimeout();
      session.expire();
    } else {
      armTimer(lastOptionNs);
    }
  }

  private void arrive(Connection newConnection, NbdCoreContext newContext) {
    connection = newConnection;
    context = newContext;
    replies = new OptionReplies(newConnection, newContext.replyScratch);
  }

  private void armTimer(long fromNs) {
    timer = context.core().timers().schedule(fromNs + limits.handshakeTimeoutNs(), this);
  }

  private int receiveClientFlags(DirectBuffer buffer, int position, int available) {
    if (available < CLIENT_FLAGS_BYTES) {
      return 0;
    }
    int flags = buffer.getInt(position, BIG_ENDIAN);
    if ((flags & ~(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES)) != 0) {
      session.violation("unknown client flags");
      return available;
    }
    fixedNewstyle = (flags & HANDSHAKE_FIXED_NEWSTYLE) != 0;
    noZeroes = (flags & HANDSHAKE_NO_ZEROES) != 0;
    state = State.OPTION;
    return CLIENT_FLAGS_BYTES;
  }

  private int receiveOption(DirectBuffer buffer, int position, int available) {
    if (available < OPTION_HEADER_BYTES) {
      return 0;
    }
    if (buffer.getLong(position, BIG_ENDIAN) != OPTION_MAGIC) {
      session.violation("bad option magic");
      return available;
    }
    int number = buffer.getInt(position + 8, BIG_ENDIAN);
    long length = buffer.getInt(position + 12, BIG_ENDIAN) & 0xffffffffL;
    if (!fixedNewstyle && number != OPT_EXPORT_NAME) {
      // Such a client would not understand an option reply either.
      session.violation("an option without fixed newstyle");
      return available;
    }
    if (!replies.hasRoom()) {
      pause();
      return 0;
    }
    if (length > limits.optionBytes()) {
      option = number;
      return receiveLongOption(length);
    }
    if (available < OPTION_HEADER_BYTES + length) {
      return 0;
    }
    option = number;
    lastOptionNs = context.core().clock().nowNs();
    execute(buffer, position + OPTION_HEADER_BYTES, (int) length);
    return OPTION_HEADER_BYTES + (int) length;
  }

  /** Nothing legitimate is that long: skip it, or give up when even that is asking too much. */
  private int receiveLongOption(long length) {
    if (option == OPT_EXPORT_NAME) {
      session.violation("export name of " + length + " bytes");
    } else if (length > limits.optionSkipBytes()) {
      context.counters().protocolViolation();
      refuse(REP_ERR_TOO_BIG, "option data too long");
      session.closeAfterFlush();
    } else {
      state = State.SKIP;
      skipRemaining = (int) length;
    }
    return OPTION_HEADER_BYTES;
  }

  private int skip(int available) {
    int skipped = Math.min(available, skipRemaining);
    skipRemaining -= skipped;
    if (skipRemaining == 0) {
      state = State.OPTION;
      lastOptionNs = context.core().clock().nowNs();
      if (needsTlsFirst()) {
        refuseForTls();
      } else if (isKnown(option)) {
        refuse(REP_ERR_TOO_BIG, "option data too long");
      } else {
        refuse(REP_ERR_UNSUP, "unknown option");
      }
    }
    return skipped;
  }

  private static boolean isKnown(int option) {
    return switch (option) {
      case OPT_ABORT,
          OPT_STARTTLS,
          OPT_LIST,
          OPT_INFO,
          OPT_GO,
          OPT_STRUCTURED_REPLY,
          OPT_EXTENDED_HEADERS,
          OPT_LIST_META_CONTEXT,
          OPT_SET_META_CONTEXT ->
          true;
      default -> false;
    };
  }

  private void execute(DirectBuffer buffer, int data, int length) {
    if (context.isDraining() && option != OPT_ABORT) {
      refuseForShutdown();
      return;
    }
    if (needsTlsFirst()) {
      refuseForTls();
      return;
    }
    switch (option) {
      case OPT_EXPORT_NAME -> exportName(buffer, data, length);
      case OPT_ABORT -> {
        replies.ack(option);
        session.closeAfterFlush();
      }
      case OPT_LIST -> list(length);
      case OPT_INFO, OPT_GO -> infoOrGo(buffer, data, length);
      case OPT_STRUCTURED_REPLY -> structuredReply(length);
      case OPT_EXTENDED_HEADERS -> extendedHeaders(length);
      case OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT -> metaContext(buffer, data, length);
      case OPT_STARTTLS -> startTls(length);
      default -> refuse(REP_ERR_UNSUP, "unknown option");
    }
  }

  // TLS.

  private boolean isSecure() {
    return connection.tls() != null;
  }

  private boolean needsTlsFirst() {
    return tls.isForced() && !isSecure() && option != OPT_STARTTLS && option != OPT_ABORT;
  }

  private void startTls(int length) {
    if (length != 0) {
      refuse(REP_ERR_INVALID, "unexpected option data");
      return;
    }
    if (!tls.isAvailable()) {
      refuse(REP_ERR_UNSUP, "TLS is not available");
      return;
    }
    if (isSecure()) {
      refuse(REP_ERR_INVALID, "TLS has been started already");
      return;
    }
    NbdTls.Session server;
    try {
      server = tls.sessions().newSession();
    } catch (TlsException e) {
      LOG.warn("no TLS for NBD client {}: {}", connection.peer(), e.getMessage());
      refuse(REP_ERR_POLICY, "TLS is not available now");
      return;
    }
    // Whoever changes what goes over the wire could have negotiated this.
    format = ReplyFormat.SIMPLE;
    contextVolume = null;
    contexts = List.of();
    openQuery = null;
    replies.ack(option);
    state = State.TLS;
    server.start(connection);
  }

  /** Returns whether the client may learn about and use a volume; when not, it was refused. */
  private boolean admit(Volume volume) {
    switch (tls.modeOf(volume)) {
      case REQUIRED -> {
        if (!isSecure()) {
          refuseForTls();
          return false;
        }
        if (!tls.admits(volume, connection.tls().peer())) {
          LOG.info(
              "NBD client {} is not among those that may use {}", connection.peer(), volume.name());
          refuseToOpen("the export is not for this client");
          return false;
        }
      }
      case OFF -> {
        if (isSecure()) {
          refuseToOpen("the export is served without TLS only");
          return false;
        }
      }
      case ALLOWED -> {}
    }
    return true;
  }

  private void refuseForTls() {
    if (option == OPT_EXPORT_NAME) {
      session.closeNow("it asked for an export that needs TLS without it");
    } else if (tls.isAvailable()) {
      refuse(REP_ERR_TLS_REQD, "TLS is needed first");
    } else {
      refuse(REP_ERR_POLICY, "the export needs TLS, which this server was not given");
    }
  }

  // The options.

  private void structuredReply(int length) {
    if (length != 0) {
      refuse(REP_ERR_INVALID, "unexpected option data");
      return;
    }
    if (format == ReplyFormat.EXTENDED) {
      refuse(REP_ERR_EXT_HEADER_REQD, "extended headers have been negotiated");
      return;
    }
    format = ReplyFormat.STRUCTURED;
    replies.ack(option);
  }

  private void extendedHeaders(int length) {
    if (length != 0) {
      refuse(REP_ERR_INVALID, "unexpected option data");
      return;
    }
    if (format == ReplyFormat.EXTENDED) {
      refuse(REP_ERR_INVALID, "extended headers have been negotiated already");
      return;
    }
    format = ReplyFormat.EXTENDED;
    replies.ack(option);
  }

  private void list(int length) {
    if (length != 0) {
      refuse(REP_ERR_INVALID, "unexpected option data");
      return;
    }
    List<Volume> volumes = visible(acceptor.directory().list());
    if (volumes.size() > limits.listedExports()) {
      refuse(REP_ERR_POLICY, "too many exports to list");
      return;
    }
    listedVolumes = volumes;
    list(volumes.stream().map(Volume::name).toList());
  }

  /** Exports that need TLS are nobody's business without it. */
  private List<Volume> visible(List<Volume> volumes) {
    if (isSecure()) {
      return volumes;
    }
    return volumes.stream().filter(volume -> tls.modeOf(volume) != TlsMode.REQUIRED).toList();
  }

  private void list(List<String> names) {
    listed = names;
    nextListed = 0;
    state = State.LIST;
    continueList();
  }

  private void continueList() {
    while (nextListed < listed.size()) {
      if (!replies.hasRoom()) {
        pause();
        return;
      }
      String name = listed.get(nextListed);
      if (option == OPT_LIST) {
        String description = listedVolumes.get(nextListed).settings().description();
        replies.server(option, name.getBytes(UTF_8), description.getBytes(UTF_8));
      } else {
        replies.listedContext(option, name);
      }
      nextListed++;
    }
    if (!replies.hasRoom()) {
      pause();
      return;
    }
    replies.ack(option);
    listed = null;
    listedVolumes = List.of();
    paused = false;
    state = State.OPTION;
    closeIfDraining();
  }

  private void infoOrGo(DirectBuffer buffer, int data, int length) {
    ExportQuery query = ExportQuery.parseInfo(buffer, data, length);
    if (query.error() != 0) {
      refuse(query.error(), query.problem());
      return;
    }
    openQuery = query;
    Volume volume = acceptor.directory().find(query.name());
    if (volume == null) {
      refuseUnknownExport();
    } else if (!admit(volume)) {
      // It has been told.
      return;
    } else if (option == OPT_INFO) {
      describe(volume);
      replies.ack(option);
    } else {
      openOrMove(volume);
    }
  }

  private void exportName(DirectBuffer buffer, int data, int length) {
    if (format == ReplyFormat.EXTENDED) {
      session.violation("EXPORT_NAME after extended headers");
      return;
    }
    ExportQuery query = ExportQuery.parseName(buffer, data, length);
    if (query.error() != 0) {
      session.violation(query.problem());
      return;
    }
    openQuery = query;
    Volume volume = acceptor.directory().find(query.name());
    if (volume == null) {
      refuseUnknownExport();
    } else if (admit(volume)) {
      openOrMove(volume);
    }
  }

  private void openOrMove(Volume volume) {
    if (volume.core().id() == connection.core().id()) {
      open(volume);
      return;
    }
    stop();
    state = State.MOVING;
    session.moveTo(volume);
  }

  private void open(Volume volume) {
    if (volume.attachmentCount() >= limits.connectionsPerVolume()) {
      context.counters().connectionRefused();
      refuseToOpen("the export has as many clients as it may have");
      return;
    }
    if (option == OPT_GO) {
      describe(volume);
      replies.ack(option);
    } else {
      replies.exportName(export(volume), !noZeroes);
    }
    state = State.OVER;
    session.enterTransmission(volume, export(volume));
  }

  /** Writes what INFO and GO say alike, so that one predicts the other. */
  private void describe(Volume volume) {
    Export export = export(volume);
    replies.infoExport(option, export);
    if (openQuery.asksFor(INFO_NAME)) {
      replies.infoName(option, volume.name().getBytes(UTF_8));
    }
    String description = volume.settings().description();
    if (openQuery.asksFor(INFO_DESCRIPTION) && !description.isEmpty()) {
      replies.infoDescription(option, description.getBytes(UTF_8));
    }
    // Enforced on every client, so every client is told, whether it asked or not.
    replies.infoBlockSize(option, export);
  }

  /** A context that was selected for another export is not valid for this one. */
  private Export export(Volume volume) {
    List<StatusContext> valid = volume.name().equals(contextVolume) ? contexts : List.of();
    return Export.of(volume, format, valid, limits);
  }

  private void metaContext(DirectBuffer buffer, int data, int length) {
    boolean select = option == OPT_SET_META_CONTEXT;
    if (select) {
      // Replaces what was selected before even when it fails.
      contextVolume = null;
    }
    if (!format.hasChunks()) {
      refuse(REP_ERR_INVALID, "structured replies must be negotiated first");
      return;
    }
    MetaContextQuery query = MetaContextQuery.parse(buffer, data, length);
    if (query.error() != 0) {
      refuse(query.error(), query.problem());
      return;
    }
    Volume volume = acceptor.directory().find(query.exportName());
    if (volume == null) {
      refuseUnknownExport();
      return;
    }
    if (!admit(volume)) {
      return;
    }
    if (!select) {
      list(MetaContexts.list(acceptor.directory(), volume, query.queries()));
      return;
    }
    List<StatusContext> selected =
        MetaContexts.select(acceptor.directory(), volume, query.queries());
    if (selected.size() > MAX_CONTEXTS) {
      refuse(REP_ERR_TOO_BIG, "more than " + MAX_CONTEXTS + " contexts");
      return;
    }
    contextVolume = volume.name();
    contexts = selected;
    for (StatusContext context : selected) {
      replies.metaContext(option, context.id(), context.name());
    }
    replies.ack(option);
  }

  // Refusals.

  private void refuse(int type, String message) {
    replies.error(option, type, message);
  }

  private void refuseUnknownExport() {
    if (option == OPT_EXPORT_NAME) {
      // There is no error reply to this option.
      session.closeNow("it asked for an unknown export");
    } else {
      refuse(REP_ERR_UNKNOWN, "no such export");
    }
  }

  private void refuseToOpen(String why) {
    if (option == OPT_EXPORT_NAME) {
      session.closeNow(why);
    } else {
      refuse(REP_ERR_POLICY, why);
    }
  }

  private void refuseForShutdown() {
    if (option == OPT_EXPORT_NAME) {
      session.closeNow("the server is shutting down");
    } else {
      refuse(REP_ERR_SHUTDOWN, "the server is shutting down");
      session.closeAfterFlush();
    }
  }

  /** While the server shuts down, a client that is owed nothing is not waited for. */
  private void closeIfDraining() {
    if (context.isDraining() && isIdle() && !session.isClosing()) {
      session.closeAfterFlush();
    }
  }

  private void pause() {
    if (!paused) {
      paused = true;
      connection.pauseReceive();
    }
  }
}
