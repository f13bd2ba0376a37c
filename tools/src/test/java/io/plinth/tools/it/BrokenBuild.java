package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * The product as it is built, with one mistake: a line of the source is changed, its file compiled
 * again, and the classes put into a copy of the jar.
 */
final class BrokenBuild {
  private static final String JAR = "target-server-0.1.0-SNAPSHOT.jar";
  private static final String PACKAGE = "io/plinth/target/nbd/";

  private final Path tree;

  /**
   * Builds.
   *
   * @param tree a folder for it that is not there
   * @param source name of a file of {@code target.nbd} without its ending
   * @param good what is in it at least once
   * @param broken what is put in its place
   */
  BrokenBuild(Path tree, String source, String good, String broken) throws IOException {
    this.tree = tree;
    Path lib = tree.resolve("tools/target/plinth/lib");
    copy(PlinthProcess.root().resolve("scripts"), tree.resolve("scripts"));
    copy(PlinthProcess.root().resolve("tools/target/plinth"), lib.getParent());
    Path file =
        PlinthProcess.root().resolve("target-server/src/main/java/" + PACKAGE + source + ".java");
    String text = Files.readString(file);
    assertThat(text).as("%s has what is to be broken", source).contains(good);
    Path changed = tree.resolve("source").resolve(source + ".java");
    Files.createDirectories(changed.getParent());
    Files.writeString(changed, text.replace(good, broken));
    Path classes = tree.resolve("classes");
    compile(changed, lib, classes);
    try (FileSystem jar = FileSystems.newFileSystem(lib.resolve(JAR));
        Stream<Path> made = Files.list(classes.resolve(PACKAGE))) {
      for (Path each : made.toList()) {
        Path to = jar.getPath(PACKAGE + each.getFileName());
        assertThat(to).as("a class of the product").exists();
        Files.copy(each, to, StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }

  /** Returns the beginning of a command line that runs the rest of it with this build. */
  List<String> launcher() {
    // The first word of the rest is the launcher of the good build.
    String script = "launcher=$1; shift 2; exec \"$launcher\" \"$@\"";
    return List.of("sh", "-c", script, "sh", tree.resolve("scripts/plinth").toString());
  }

  private static void compile(Path source, Path lib, Path classes) throws IOException {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter output = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
        Stream<Path> jars = Files.list(lib)) {
      String path = String.join(":", jars.map(Path::toString).toList());
      List<String> options =
          List.of("-proc:none", "-implicit:none", "-cp", path, "-d", classes.toString());
      Files.createDirectories(classes);
      boolean done =
          compiler
              .getTask(output, files, null, options, null, files.getJavaFileObjects(source))
              .call();
      assertThat(done).as("%s is compiled: %s", source, output).isTrue();
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path each : all.toList()) {
        Path target = to.resolve(from.relativize(each).toString());
        Files.createDirectories(target.getParent());
        if (!Files.isDirectory(each)) {
          Files.copy(each, target, StandardCopyOption.COPY_ATTRIBUTES);
        }
      }
    }
  }
}
