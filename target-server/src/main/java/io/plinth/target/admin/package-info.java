/**
 * The HTTP/JSON admin API and the port through which it reaches the node. It runs on one thread of
 * its own, named {@code plinth-admin}, and never on a core. Only {@code target.main}, {@code
 * target.node} and {@code tools} may import it.
 */
package io.plinth.target.admin;
