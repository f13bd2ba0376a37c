package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code scripts/plinth}: the real one of this build, and copies of it in a tree whose Maven is a
 * small script.
 */
class LauncherIT {
  private static final Map<String, String> AS_BUILT = Map.of("PLINTH_NO_BUILD", "1");

  @TempDir Path directory;
  private Path tree;
  private Path source;

  @BeforeEach
  void makeTree() throws IOException {
    tree = Files.createDirectories(directory.resolve("tree"));
    for (String name : List.of("scripts/plinth", "scripts/lib/jdk.sh", "scripts/lib/launch.sh")) {
      Path copy = tree.resolve(name);
      Files.createDirectories(copy.getParent());
      Files.copy(Script.root().resolve(name), copy, StandardCopyOption.COPY_ATTRIBUTES);
    }
    source = tree.resolve("io-engine/src/main/java/A.java");
    Files.createDirectories(source.getParent());
    Files.writeString(source, "class A {}");
    Files.writeString(tree.resolve("pom.xml"), "<project/>");
    age(tree);
    maven("");
  }

  @Test
  void theVersionIsOneLineWithoutWarningsOfTheJavaMachine() throws Exception {
    Run run = plinth(Script.root(), AS_BUILT, "version");
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).matches("plinth [0-9.]+(-SNAPSHOT)? \\(Java 2[0-9].*\\)\n");
    assertThat(run.exitCode()).isZero();
  }

  @Test
  void exitCodesReachTheShell() throws Exception {
    assertThat(plinth(Script.root(), AS_BUILT, "serve", "--volume", "demo").exitCode())
        .isEqualTo(2);
    Run unreachable = plinth(Script.root(), AS_BUILT, "stats", "--admin", "127.0.0.1:1");
    assertThat(unreachable.exitCode()).isEqualTo(3);
    assertThat(unreachable.err())
        .startsWith("plinth: no server at 127.0.0.1:1")
        .doesNotContain("Exception");
  }

  @Test
  void theSimulatorTellsCommitSeedsAndTotals() throws Exception {
    Run run =
        Script.run(
            directory,
            AS_BUILT,
            output(),
            List.of(
                Script.root().resolve("scripts/simulate").toString(),
                "--seeds",
                "1..3",
                "--steps",
                "50"));
    assertThat(run.err()).isEmpty();
    assertThat(run.exitCode()).isZero();
    List<String> lines = run.out().lines().toList();
    assertThat(lines.getFirst())
        .matches(
            "simulate: commit \\S+, nodes 1, seeds 1\\.\\.3, steps 50, threads [0-9]+, bug none");
    assertThat(lines.getLast())
        .matches("3 seeds in [0-9.]+ s: [0-9]+ operations; faults: .+; digest \\w{16}; 0 failures");
  }

  @Test
  void itStartsThroughALinkFromAnywhere() throws Exception {
    Path link = directory.resolve("plinth");
    Files.createSymbolicLink(link, Script.root().resolve("scripts/plinth"));
    Path elsewhere = Files.createDirectories(directory.resolve("else where"));
    Run run = Script.run(elsewhere, AS_BUILT, output(), List.of("../plinth", "version"));
    assertThat(run.exitCode()).isZero();
  }

  @Test
  void theFirstUseBuildsAndTheSecondDoesNot() throws Exception {
    Run first = plinth(tree, Map.of(), "version");
    assertThat(first.err()).matches("building Plinth \\(first use\\) \\.\\.\\. done in [0-9]+ s\n");
    assertThat(first.exitCode()).isZero();
    assertThat(plinth(tree, Map.of(), "version").err()).isEmpty();
    assertThat(builds()).isEqualTo(1);
  }

  @Test
  void aChangedSourceIsBuiltOnce() throws Exception {
    plinth(tree, Map.of(), "version");
    Files.writeString(source, "class A { }");
    Files.setLastModifiedTime(source, FileTime.from(Instant.now().plusSeconds(1)));
    assertThat(plinth(tree, Map.of(), "version").err())
        .startsWith("building Plinth (sources changed) ... done in ");
    assertThat(builds()).isEqualTo(2);
  }

  @Test
  void aDeletedSourceIsSeen() throws Exception {
    plinth(tree, Map.of(), "version");
    Files.delete(source);
    Files.setLastModifiedTime(source.getParent(), FileTime.from(Instant.now().plusSeconds(1)));
    assertThat(plinth(tree, Map.of(), "version").err())
        .startsWith("building Plinth (sources changed)");
  }

  @Test
  void anEditDuringABuildIsNotMissed() throws Exception {
    // The stamp carries the time at which the build began; this Maven edits a source after that.
    maven("touch -d '+1 second' io-engine/src/main/java/A.java");
    plinth(tree, Map.of(), "version");
    maven("");
    assertThat(plinth(tree, Map.of(), "version").err())
        .startsWith("building Plinth (sources changed)");
  }

  @Test
  void startsSideBySideShareOneBuild() throws Exception {
    List<Process> processes = new ArrayList<>();
    List<Path> outputs = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      outputs.add(output("side" + i));
      processes.add(
          Script.start(tree, Map.of(), outputs.get(i), List.of("scripts/plinth", "version")));
    }
    for (int i = 0; i < 4; i++) {
      assertThat(Script.await(processes.get(i), outputs.get(i)).exitCode()).isZero();
    }
    assertThat(builds()).isEqualTo(1);
  }

  @Test
  void aFailedBuildShowsTheEndOfItsLogAndEndsWithOne() throws Exception {
    maven("echo '[ERROR] A.java:[1,1] no such thing'; exit 1");
    Run run = plinth(tree, Map.of(), "version");
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.out()).isEmpty();
    assertThat(run.err())
        .startsWith("building Plinth (first use) ... failed after ")
        .contains("no such thing");
    maven("");
    assertThat(plinth(tree, Map.of(), "version").exitCode()).isZero();
  }

  @Test
  void optionsForTheJavaMachineAreTaken() throws Exception {
    Run run =
        plinth(
            Script.root(),
            Map.of("PLINTH_NO_BUILD", "1", "PLINTH_JAVA_OPTS", "-Xmx64m -Dx=y -XshowSettings:vm"),
            "version");
    assertThat(run.err() + run.out()).contains("Max. Heap Size: 64.00M");
  }

  /**
   * Makes the tree's Maven: it counts itself, stamps the beginning, does {@code work}, and takes
   * this build's jars.
   */
  private void maven(String work) throws IOException {
    Path script = tree.resolve("mvnw");
    Files.writeString(
        script,
        """
        #!/bin/sh
        set -e
        cd "$(dirname "$0")"
        echo run >> builds
        mkdir -p tools/target/plinth
        touch tools/target/plinth/began
        %s
        ln -sfn '%s' tools/target/plinth/lib
        mv tools/target/plinth/began tools/target/plinth/build-began
        """
            .replaceFirst("%s", work)
            .replaceFirst("%s", Script.root().resolve("tools/target/plinth/lib").toString()));
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private int builds() throws IOException {
    return Files.readAllLines(tree.resolve("builds")).size();
  }

  private Run plinth(Path root, Map<String, String> environment, String... args) throws Exception {
    List<String> command = new ArrayList<>(List.of(root.resolve("scripts/plinth").toString()));
    command.addAll(List.of(args));
    return Script.run(directory, environment, output(), command);
  }

  private Path output() {
    return output("run");
  }

  private Path output(String name) {
    return directory.resolve(name);
  }

  /** Makes every file old, so that what a test touches is newer whatever the clock's grain. */
  private static void age(Path tree) throws IOException {
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.toList()) {
        Files.setLastModifiedTime(file, FileTime.from(Instant.now().minusSeconds(3600)));
      }
    }
  }
}
