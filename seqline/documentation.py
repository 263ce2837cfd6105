"""The addresses of the documentation's pages, for messages of an installed Seqline."""

PAGES = "https://github.com/seqline/seqline/blob/main/docs"


def page(name: str, heading: str = "") -> str:
    """Returns the address of a page.

    Args:
        name: Its file, such as kubeflow.md.
        heading: A heading on it; empty for its top.
    """
    anchor = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -").replace(" ", "-")
    return f"{PAGES}/{name}{f'#{anchor}' if anchor else ''}"
