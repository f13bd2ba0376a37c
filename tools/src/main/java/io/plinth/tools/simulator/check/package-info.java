/**
 * What the simulator holds a node to: models of what clients were promised, which know nothing of
 * how the node keeps its promises.
 *
 * <p>A model belongs to the one thread of its run. Only the simulator imports it.
 */
package io.plinth.tools.simulator.check;
