/**
 * What is on a simulated disk, read from outside of the node that writes it, for those who damage
 * it. No threads; the simulations import it, and nobody else.
 */
package io.plinth.tools.simulator.disk;
