/**
 * The composition root: configuration, and the one place where real clocks, disks and networks are
 * put together into a running server. Everything here runs on the thread that starts the process,
 * before and after the cores' own life. Only {@code tools} and {@code bench} may import it.
 */
package io.plinth.target.main;
