"""The base of the HTML reports: one template, one style sheet, one `render`.

A report has its own template next to its code. It extends `page.html`, fills the blocks `title`, `kind`,
`lead` and `content`, and may import the macros of `parts.html`:

    {% extends "page.html" %}
    {% import "parts.html" as parts %}
    {% block title %}Corpus en → de{% endblock %}
    {% block kind %}Tokenize{% endblock %}
    {% block lead %}{{ used | count }} of {{ read | count }} pairs used.{% endblock %}
    {% block content %}
    {{ parts.tiles([("Training pairs", train | count), ("Vocabulary", vocabulary | count)]) }}
    <h2>Lengths</h2>
    {{ parts.columns([("1-8", 120), ("9-16", 340)], label="Target tokens per sentence") }}
    {% endblock %}

`render` turns it into one self-contained page, which loads nothing and runs no script:

    from seqline.html_report.page import render
    atomic_write(report, render(Path(__file__).with_name("report.html"), read=10, used=9, ...))

All values are escaped: texts of a corpus are never markup. Imports only the standard library, jinja2 and
`seqline.revision`.
"""
