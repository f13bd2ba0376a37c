package io.plinth.tools.cli;

/** Entry point of the {@code plinth} command. */
public final class Main {
  private Main() {}

  /** Runs the command in {@code args}. */
  public static void main(String[] args) {}
}
