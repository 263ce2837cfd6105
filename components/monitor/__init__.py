"""Monitor: compares live traffic with the training corpus and with the window before, and raises alarms."""
