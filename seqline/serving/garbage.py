"""Garbage collection of the server and its workers: while one collects, it answers nothing."""

import gc

YOUNG_OBJECTS = 20_000
"""New objects that set off a garbage collection; a request in flight has about a hundred."""


def relax_collector() -> None:
    """Makes garbage collections rare: with Python's defaults they take a sixth of the event loop's time.

    What is there now, mostly modules and in a worker the model, is exempt from them. Requests in flight are no garbage,
    but more than 700 new objects: with the default, every few requests would set off a young collection, and often a
    full one, which goes through all that the process remembers. Reference counts free nearly all that a request leaves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
