package io.plinth.target.security;

import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;

/** Tells whether a private key belongs to a public one. */
final class KeyPairs {
  private static final byte[] MESSAGE = {1, 2, 3};

  private KeyPairs() {}

  /**
   * Signs with the one and verifies with the other.
   *
   * @throws GeneralSecurityException when that is not possible, as for keys of different kinds
   */
  static boolean fit(PrivateKey key, PublicKey publicKey) throws GeneralSecurityException {
    if (!key.getAlgorithm().equals(publicKey.getAlgorithm())) {
      return false;
    }
    String algorithm =
        switch (key.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> key.getAlgorithm();
        };
    Signature signer = Signature.getInstance(algorithm);
    signer.initSign(key);
    signer.update(MESSAGE);
    byte[] signature = signer.sign();
    Signature verifier = Signature.getInstance(algorithm);
    verifier.initVerify(publicKey);
    verifier.update(MESSAGE);
    return verifier.verify(signature);
  }
}
