package io.plinth.engine.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.Status;
import io.plinth.engine.core.DriverException;
import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class UringDriverTest {
  private static final String NO_NATIVE = "io.netty.transport.noNative";

  @Test
  void aMissingRingIsOneLineWithWhatToDo() throws Exception {
    // Netty decides once per class loader; a new one decides anew.
    List<URL> classPath = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      classPath.add(Path.of(entry).toUri().toURL());
    }
    System.setProperty(NO_NATIVE, "true");
    try (URLClassLoader loader =
        new URLClassLoader(classPath.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
      Method require = loader.loadClass(UringDriver.class.getName()).getMethod("requireIoUring");

      assertThatThrownBy(() -> require.invoke(null))
          .isInstanceOf(InvocationTargetException.class)
          .satisfies(e -> {
            Throwable cause = e.getCause();
            assertThat(cause.getClass().getName()).isEqualTo(DriverException.class.getName());
            assertThat(cause.getMessage())
                .startsWith("io_uring is not available: ")
                .endsWith(
                    "; it needs Linux 5.15 or later, a container profile that allows"
                        + " io_uring_setup, and a sufficient 'ulimit -l'")
                .doesNotContain("\n");
          });
    } finally {
      System.clearProperty(NO_NATIVE);
    }
  }

  @Test
  void aNumberOfSlotsThatCanNotBeIsRefused() {
    assertThatThrownBy(() -> new UringDriver(0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new UringDriver(UringDriver.MAX_SLOTS + 1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aDriverWithOperationsInFlightIsNotClosed() throws DriverException {
    UringDriver driver = new UringDriver(4);
    int[] result = {1};
    assertThat(driver.sync(-1, (context, value) -> result[0] = value, 0)).isTrue();

    assertThatThrownBy(driver::close).hasMessage("1 operations in flight");

    while (driver.inFlight() > 0) {
      driver.poll(1_000_000);
      driver.dispatch();
    }
    assertThat(Status.isError(result[0])).isTrue();
    driver.close();
  }
}
