package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code mvnw} on machines that lack something: a PATH of our own, and a home of our own. */
class MavenWrapperIT {
  private static final String VERSION = "3.9.11";
  private static final List<String> TOOLS =
      List.of(
          "sh",
          "sed",
          "head",
          "dirname",
          "curl",
          "cut",
          "sha512sum",
          "mkdir",
          "tar",
          "gzip",
          "mv",
          "rm",
          "mktemp",
          "cat");

  @TempDir Path directory;
  private Path bin;
  private Path home;

  @BeforeEach
  void makeMachine() throws IOException {
    bin = Files.createDirectories(directory.resolve("bin"));
    home = Files.createDirectories(directory.resolve("home"));
    for (String tool : TOOLS) {
      for (String place : List.of("/usr/bin/", "/bin/")) {
        if (Files.exists(Path.of(place + tool)) && !Files.exists(bin.resolve(tool))) {
          Files.createSymbolicLink(bin.resolve(tool), Path.of(place + tool));
        }
      }
    }
    // An ordinary user, who installs no packages.
    tool("id", "echo 1000");
  }

  @Test
  void aMavenOnThePathIsUsedWithTheRightJava() throws Exception {
    tool(
        "mvn",
        "if [ \"$1\" = --version ]; then echo 'Apache Maven 3.8.7'; else echo \"$JAVA_HOME $*\"; fi");
    Run run = mvnw(Map.of("JAVA_HOME", "/nowhere"), "-q", "verify");
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).matches("/.+ -f .+/pom\\.xml -q verify\n").doesNotContain("/nowhere");
    assertThat(run.exitCode()).isZero();
  }

  @Test
  void aMavenThatIsTooOldIsPassedOver() throws Exception {
    tool("mvn", "echo 'Apache Maven 3.6.3'");
    Run run = mvnw(Map.of(), "verify");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err())
        .startsWith("mvnw: no Maven 3.8 or newer on the PATH. Install it")
        .contains("MVNW_REPOURL");
    assertThat(run.err().lines()).hasSize(1);
  }

  @Test
  void mavenIsFetchedFromTheGivenRepositoryOnceAndChecked() throws Exception {
    Path archive = repository();
    Map<String, String> environment =
        Map.of("MVNW_REPOURL", directory.resolve("repo").toUri().toString());
    Run first = mvnw(environment, "verify");
    assertThat(first.err()).isEqualTo("mvnw: fetching Maven " + VERSION + " from MVNW_REPOURL\n");
    assertThat(first.out()).isEqualTo("fetched maven runs verify\n");
    Files.delete(archive);
    Run second = mvnw(environment, "verify");
    assertThat(second.err()).isEmpty();
    assertThat(second.out()).isEqualTo("fetched maven runs verify\n");
  }

  @Test
  void anArchiveWithAnotherChecksumIsRefused() throws Exception {
    Path archive = repository();
    Files.writeString(archive.resolveSibling(archive.getFileName() + ".sha512"), "0".repeat(128));
    Run run = mvnw(Map.of("MVNW_REPOURL", directory.resolve("repo").toUri().toString()), "verify");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("SHA-512").contains("does not match; nothing installed");
    assertThat(home.resolve(".m2/wrapper/apache-maven-" + VERSION)).doesNotExist();
  }

  @Test
  void aFailedFetchIsOneClearLine() throws Exception {
    Run run = mvnw(Map.of("MVNW_REPOURL", directory.resolve("empty").toUri().toString()), "verify");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).contains("mvnw: could not fetch file:");
  }

  private Run mvnw(Map<String, String> extra, String... args) throws Exception {
    Map<String, String> environment = new HashMap<>(extra);
    environment.put("PATH", bin.toString());
    environment.put("HOME", home.toString());
    environment.putIfAbsent("MVNW_REPOURL", "");
    List<String> command = new ArrayList<>(List.of(Script.root().resolve("mvnw").toString()));
    command.addAll(List.of(args));
    return Script.run(directory, environment, directory.resolve("run"), command);
  }

  /**
   * Makes a repository with a Maven that tells what it is asked, and returns the archive's path.
   */
  private Path repository() throws Exception {
    Path maven = directory.resolve("apache-maven-" + VERSION);
    Files.createDirectories(maven.resolve("bin"));
    Files.writeString(
        maven.resolve("bin/mvn"), "#!/bin/sh\nshift 2\necho \"fetched maven runs $*\"\n");
    Files.setPosixFilePermissions(
        maven.resolve("bin/mvn"), PosixFilePermissions.fromString("rwxr-xr-x"));
    String name = "apache-maven-" + VERSION + "-bin.tar.gz";
    Path folder =
        Files.createDirectories(directory.resolve("repo/org/apache/maven/apache-maven/" + VERSION));
    String commands =
        "tar -czf '"
            + folder.resolve(name)
            + "' -C '"
            + directory
            + "' "
            + maven.getFileName()
            + " && sha512sum '"
            + folder.resolve(name)
            + "' > '"
            + folder.resolve(name + ".sha512")
            + "'";
    assertThat(
            Script.run(directory, Map.of(), directory.resolve("tar"), List.of("sh", "-c", commands))
                .exitCode())
        .isZero();
    return folder.resolve(name);
  }

  private void tool(String name, String script) throws IOException {
    Path file = bin.resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + script + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }
}
