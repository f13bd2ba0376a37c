package io.plinth.target.security;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.openssl.PEMEncryptedKeyPair;
import org.bouncycastle.openssl.PEMException;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.pkcs.PKCS8EncryptedPrivateKeyInfo;

/** Reads certificates and keys in PEM. */
final class PemFiles {
  /** More than any chain of certificates needs, and less than the output ring that it must fit. */
  private static final int MAXIMUM_BYTES = 32 * 1024;

  private PemFiles() {}

  /** Returns the certificates of a file, at least one, in their order. */
  static X509Certificate[] certificates(Path file) throws TlsFilesException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAXIMUM_BYTES + 1);
      if (bytes.length > MAXIMUM_BYTES) {
        throw new TlsFilesException(
            "can't use " + file + ": it has more than " + MAXIMUM_BYTES + " bytes", null);
      }
      Certificate[] all =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(new java.io.ByteArrayInputStream(bytes))
              .toArray(new Certificate[0]);
      if (all.length == 0) {
        throw new TlsFilesException("can't use " + file + ": there is no certificate in it", null);
      }
      X509Certificate[] certificates = new X509Certificate[all.length];
      System.arraycopy(all, 0, certificates, 0, all.length);
      return certificates;
    } catch (CertificateException e) {
      throw new TlsFilesException(
          "can't use " + file + ": it does not hold certificates in PEM", e);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  /** Returns the first private key of a file: PKCS#8, or what OpenSSL and GnuTLS wrote before. */
  static PrivateKey privateKey(Path file) throws TlsFilesException {
    try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8);
        PEMParser parser = new PEMParser(reader)) {
      JcaPEMKeyConverter converter = new JcaPEMKeyConverter();
      for (Object found = parser.readObject(); found != null; found = parser.readObject()) {
        switch (found) {
          case PEMKeyPair pair -> {
            return converter.getPrivateKey(pair.getPrivateKeyInfo());
          }
          case PrivateKeyInfo info -> {
            return converter.getPrivateKey(info);
          }
          case PEMEncryptedKeyPair _, PKCS8EncryptedPrivateKeyInfo _ ->
              throw new TlsFilesException(
                  "can't use " + file + ": the key is encrypted; a server needs it in the clear",
                  null);
          default -> {}
        }
      }
    } catch (PEMException | CharacterCodingException | RuntimeException e) {
      // The parser lets through what its decoders throw, whatever that is.
      throw new TlsFilesException("can't use " + file + ": it does not hold a key in PEM", e);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
    throw new TlsFilesException("can't use " + file + ": there is no private key in it", null);
  }

  static TlsFilesException unreadable(Path file, IOException e) {
    String why =
        switch (e) {
          case NoSuchFileException _ -> "there is no such file";
          case AccessDeniedException _ -> "no permission to read it";
          default -> String.valueOf(e.getMessage());
        };
    return new TlsFilesException("can't use " + file + ": " + why, e);
  }
}
