/**
 * Files behind the ports: the segments of a log as preallocated, mapped files with a helper thread
 * that prepares them.
 *
 * <p>Files belong to a core's thread; the helper thread talks to it through volatile fields and one
 * queue. Only the composition root and tests import this package.
 */
package io.plinth.engine.device;
