"""Checks before anything is sent: of the configuration, of this machine, and with the TPU compiler."""
