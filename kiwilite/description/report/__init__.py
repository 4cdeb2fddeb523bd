"""Diagnostics as text, JSON, SARIF or lines as gcc has them: pure functions, a module each."""
