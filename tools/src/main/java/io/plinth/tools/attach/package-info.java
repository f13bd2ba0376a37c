/**
 * Attaches volumes to the devices of the Linux kernel's NBD client by generic netlink, and dials
 * again when a connection is lost. Runs on the client's machine, on the calling thread. Imports
 * engine.memory and engine.net for system calls and addresses, tools.nbd, nothing of the server.
 */
package io.plinth.tools.attach;
