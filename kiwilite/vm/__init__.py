"""Runs an image in QEMU and drives its console, firmware and TPM."""
