"""Asks the TPU compiler, before a TPU is rented: does training compile, does it fit, how long will it take."""
