package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** fio writes at random in sizes from one sector to 1 MiB and checks all that it reads. */
class FioIT {
  private static final int SHORT_S = 8;
  private static final int LONG_S = 60;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  @Timeout(120)
  void verifiesOverTcp() throws Exception {
    PlinthProcess server = serve();
    verify(server.uri("demo"), SHORT_S);
  }

  @Test
  @Timeout(120)
  void verifiesOverTheUnixSocket() throws Exception {
    serve();
    verify(unix(), SHORT_S);
  }

  @Test
  @Tag("long")
  @Timeout(240)
  void verifiesOverTcpForAMinute() throws Exception {
    PlinthProcess server = serve();
    verify(server.uri("demo"), LONG_S);
  }

  @Test
  @Tag("long")
  @Timeout(240)
  void verifiesOverTheUnixSocketForAMinute() throws Exception {
    serve();
    verify(unix(), LONG_S);
  }

  private PlinthProcess serve() throws Exception {
    return servers.serve(
        directory.resolve("data"),
        "--volume",
        "demo=256M",
        "--nbd-unix",
        directory.resolve("s").toString());
  }

  private String unix() {
    return "nbd+unix:///demo?socket=" + directory.resolve("s");
  }

  /**
   * Eight jobs, each over a range of its own (fio knows only what it wrote itself): four with all
   * sizes up to 1 MiB, four with many small requests. What is written is bounded, because the log
   * keeps all of it.
   */
  private static void verify(String uri, int seconds) throws Exception {
    List<String> command = new ArrayList<>(List.of("fio", "--name=global", "--ioengine=nbd"));
    command.addAll(List.of("--uri=" + uri, "--rw=randrw", "--blockalign=512", "--iodepth=32"));
    command.addAll(
        List.of("--numjobs=4", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0"));
    command.addAll(List.of("--verify_backlog=256", "--serialize_overlap=1", "--time_based"));
    command.addAll(List.of("--runtime=" + seconds, "--randseed=20260101", "--group_reporting"));
    command.addAll(List.of("--name=mixed", "--bsrange=512-1M", "--rate=,10M"));
    command.addAll(List.of("--size=48M", "--offset_increment=48M"));
    command.addAll(List.of("--name=small", "--bsrange=512-16k", "--rate=,5M"));
    command.addAll(List.of("--offset=192M", "--size=16M", "--offset_increment=16M"));
    Shell.Result result = Shell.run(seconds + 60, command);
    assertThat(result.exitCode()).as("exit code of fio: %s", result.output()).isZero();
    assertThat(result.output())
        .contains("err= 0", "read: IOPS=", "write: IOPS=")
        .doesNotContainIgnoringCase("verify failed")
        .doesNotContainIgnoringCase("bad header");
  }
}
