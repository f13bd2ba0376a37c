/**
 * Who may connect, and how what they say is kept from others: TLS with certificates and with
 * pre-shared keys. Nothing else knows Bouncy Castle.
 */
package io.plinth.target.security;
