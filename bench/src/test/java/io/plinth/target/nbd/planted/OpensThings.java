package io.plinth.target.nbd.planted;

import java.io.IOException;
import java.net.Socket;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/** Planted: goes around the ports. */
public final class OpensThings {
  Socket socket() {
    return new Socket();
  }

  FileChannel file(Path path) throws IOException {
    return FileChannel.open(path);
  }
}
