package io.plinth.target.security;

import java.nio.file.Path;
import java.util.List;

/**
 * Where a server's secrets are: either certificates or pre-shared keys.
 *
 * @param certificates the directory with {@code server-cert.pem} (the server's certificate and
 *     those that lead to its authority's), {@code server-key.pem} and, when clients are verified,
 *     {@code ca-cert.pem}; null for keys
 * @param verifyClients what clients have to show; null for {@link VerifyClients#REQUIRED} when
 *     there is a {@code ca-cert.pem} and {@link VerifyClients#OFF} otherwise
 * @param preSharedKeys a file with a line {@code IDENTITY:KEY-IN-HEXADECIMAL} for each client, as
 *     {@code psktool} writes it; null for certificates
 */
public record TlsFiles(Path certificates, VerifyClients verifyClients, Path preSharedKeys) {
  static final String CERTIFICATE = "server-cert.pem";
  static final String KEY = "server-key.pem";
  static final String AUTHORITY = "ca-cert.pem";

  /** Checks that it is one of both. */
  public TlsFiles {
    if ((certificates == null) == (preSharedKeys == null)) {
      throw new IllegalArgumentException("either certificates or pre-shared keys");
    }
  }

  /** Returns the files whose change makes new secrets. */
  List<Path> watched() {
    return certificates == null
        ? List.of(preSharedKeys)
        : List.of(
            certificates.resolve(CERTIFICATE),
            certificates.resolve(KEY),
            certificates.resolve(AUTHORITY));
  }
}
