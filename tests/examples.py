"""How many examples hypothesis tries."""

from hypothesis import settings

CI = 100  # of the profile ci, hypothesis' default


def examples(count: int) -> settings:
    """Settings of a test whose examples are slow, or many.

    Args:
        count: Number of examples in CI; in another profile as many times more or fewer as it has.
    """
    return settings(max_examples=max(1, count * settings.default.max_examples // CI))
