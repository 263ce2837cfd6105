"""The parts of the serving benchmark that run as processes of their own."""
