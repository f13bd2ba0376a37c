package io.plinth.target.security;

import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import io.plinth.engine.net.JsseEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import org.bouncycastle.tls.crypto.TlsCrypto;
import org.bouncycastle.tls.crypto.impl.jcajce.JcaTlsCryptoProvider;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the TLS sessions of a server, from files that are read again when they change: certificates
 * expire, and a server that had to be stopped for new ones would disconnect everybody.
 */
public final class ServerTls implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ServerTls.class);
  private static final int HELPERS = 2;
  private static final String[] VERSIONS = {"TLSv1.3", "TLSv1.2"};

  /** How often the files are looked at. */
  private static final long RELOAD_S = 10;

  static {
    // Records shorter than ours, which few clients ask for, would not fit the output ring.
    System.setProperty("jdk.tls.server.disableExtensions", "max_fragment_length");
  }

  /** Makes a session with the secrets of one moment. */
  private interface Secrets {
    TlsEngine engine() throws TlsException;
  }

  private final TlsFiles files;
  private final ScheduledThreadPoolExecutor helpers;
  private volatile Secrets secrets;
  private List<FileTime> times;
  private String lastProblem = "";

  private ServerTls(TlsFiles files) throws TlsFilesException {
    this.files = files;
    times = times();
    secrets = read();
    helpers =
        new ScheduledThreadPoolExecutor(
            HELPERS, Thread.ofPlatform().name("plinth-tls-", 0).daemon().factory());
    helpers.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    var _ = helpers.scheduleWithFixedDelay(this::reload, RELOAD_S, RELOAD_S, TimeUnit.SECONDS);
  }

  /**
   * Reads the files.
   *
   * @throws TlsFilesException when they can't be used; one line that names the file
   */
  public static ServerTls open(TlsFiles files) throws TlsFilesException {
    return new ServerTls(files);
  }

  /**
   * Makes a session for a client. Does not wait; the handshake's work is for {@link #helpers}.
   *
   * @throws TlsException when there can be none
   */
  public TlsEngine newSession() throws TlsException {
    return secrets.engine();
  }

  /** Returns the threads for handshakes. */
  public Executor helpers() {
    return helpers;
  }

  @Override
  public void close() {
    helpers.shutdownNow();
  }

  /** Reads the files again if they have changed; what was good before stays until the new is. */
  synchronized void reload() {
    List<FileTime> found = times();
    if (found.equals(times)) {
      return;
    }
    try {
      secrets = read();
      times = found;
      lastProblem = "";
      LOG.info("TLS: read {} again, which has changed", place());
    } catch (TlsFilesException e) {
      // Looked at again and again: somebody may be in the middle of replacing two files.
      if (!e.getMessage().equals(lastProblem)) {
        lastProblem = e.getMessage();
        LOG.warn("TLS: {}; what was there before is still used", e.getMessage());
      }
    }
  }

  private Path place() {
    return files.certificates() == null ? files.preSharedKeys() : files.certificates();
  }

  private List<FileTime> times() {
    List<FileTime> found = new ArrayList<>();
    for (Path file : files.watched()) {
      try {
        found.add(Files.getLastModifiedTime(file));
      } catch (IOException e) {
        found.add(FileTime.fromMillis(0));
      }
    }
    return found;
  }

  private Secrets read() throws TlsFilesException {
    return files.certificates() == null ? readKeys() : readCertificates();
  }

  private Secrets readKeys() throws TlsFilesException {
    Map<String, byte[]> keys = PskFile.read(files.preSharedKeys());
    warnIfOpen(files.preSharedKeys());
    TlsCrypto crypto = new JcaTlsCryptoProvider().create(new SecureRandom());
    return () -> new PskEngine(crypto, keys);
  }

  private Secrets readCertificates() throws TlsFilesException {
    Path keyFile = files.certificates().resolve(TlsFiles.KEY);
    Path chainFile = files.certificates().resolve(TlsFiles.CERTIFICATE);
    Path authorityFile = files.certificates().resolve(TlsFiles.AUTHORITY);
    X509Certificate[] chain = PemFiles.certificates(chainFile);
    PrivateKey key = PemFiles.privateKey(keyFile);
    warnIfOpen(keyFile);
    VerifyClients verify = files.verifyClients();
    if (verify == null) {
      verify = Files.exists(authorityFile) ? VerifyClients.REQUIRED : VerifyClients.OFF;
    }
    try {
      TrustManager[] trust = {};
      if (verify != VerifyClients.OFF) {
        trust = trust(PemFiles.certificates(authorityFile));
      }
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keyManagers(key, chain).getKeyManagers(), trust, null);
      VerifyClients asked = verify;
      return () -> new JsseEngine(engine(context, asked));
    } catch (GeneralSecurityException | IOException e) {
      throw new TlsFilesException(
          "can't use " + keyFile + ": it does not fit " + chainFile + ": " + e.getMessage(), e);
    }
  }

  private static KeyManagerFactory keyManagers(PrivateKey key, X509Certificate[] chain)
      throws GeneralSecurityException, IOException {
    if (!KeyPairs.fit(key, chain[0].getPublicKey())) {
      throw new GeneralSecurityException("the certificate is for another key");
    }
    char[] password = {};
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setKeyEntry("server", key, password, chain);
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, password);
    return factory;
  }

  private static TrustManager[] trust(X509Certificate[] authorities)
      throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    for (int i = 0; i < authorities.length; i++) {
      store.setCertificateEntry("ca-" + i, authorities[i]);
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    for (TrustManager manager : factory.getTrustManagers()) {
      if (manager instanceof X509ExtendedTrustManager judge) {
        return new TrustManager[] {new SilentTrustManager(judge)};
      }
    }
    throw new GeneralSecurityException("the Java runtime can't verify certificates");
  }

  private static SSLEngine engine(SSLContext context, VerifyClients verify) {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(false);
    SSLParameters parameters = engine.getSSLParameters();
    parameters.setProtocols(VERSIONS);
    parameters.setUseCipherSuitesOrder(true);
    switch (verify) {
      case REQUIRED -> parameters.setNeedClientAuth(true);
      case OPTIONAL -> parameters.setWantClientAuth(true);
      case OFF -> {}
    }
    engine.setSSLParameters(parameters);
    return engine;
  }

  private static void warnIfOpen(Path file) {
    try {
      Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
      if (permissions.contains(PosixFilePermission.OTHERS_READ)) {
        LOG.warn("TLS: every user of this machine can read {}: chmod o-r it", file);
      }
    } catch (IOException | UnsupportedOperationException e) {
      LOG.debug("TLS: permissions of {} are unknown: {}", file, e.getMessage());
    }
  }
}
