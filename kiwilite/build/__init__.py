"""Executes a plan: store, executor, sandbox, and one small module per stage kind."""
