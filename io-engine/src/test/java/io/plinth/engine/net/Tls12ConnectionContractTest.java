package io.plinth.engine.net;

class Tls12ConnectionContractTest extends TlsConnectionContractTest {
  @Override
  protected String version() {
    return "TLSv1.2";
  }
}
