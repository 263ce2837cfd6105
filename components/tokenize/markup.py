"""The pattern of HTML and XML in a text, which tells tags from comparisons and from generic types.

"a <b and c> d", "List<int>" and "a<b>c" are text. A tag is an end tag, or has attributes with values, or the name of an
element of HTML in a place where such an element would be.
"""

from html.entities import name2codepoint

# Names that mean nothing else in a text, so that they are tags even within a word: "one<br>two".
_ANYWHERE = "blockquote br dd div dl dt h[1-6] hr html li nobr tbody td tfoot th thead tr ul wbr"
# Names that are also words of prose or types: tags unless they follow a letter as in "Set<object>".
_APART = (
    "abbr acronym address applet area article aside audio base basefont bdi bdo big body button canvas caption "
    "center cite code col colgroup data datalist del details dfn dialog dir em embed fieldset figcaption figure "
    "font footer form frame frameset head header hgroup iframe img input ins kbd label legend link main map mark "
    "menu meta meter nav noframes noscript object ol optgroup option output param picture pre progress rb rp rt "
    "rtc ruby samp script search section select slot small source span strike strong style sub summary sup svg "
    "table template textarea time title track tt var video"
)
_ATTRIBUTES = (
    "align|alt|background|bgcolor|border|cellpadding|cellspacing|class|color|colspan|data-[a-z-]+|dir|face|for|height|href|"
    "id|lang|name|rel|rowspan|size|src|style|target|title|type|valign|value|width|xml:lang|xmlns"
)
_SWITCHES = (
    "async|autoplay|checked|controls|defer|disabled|hidden|loop|multiple|muted|nowrap|readonly|required|selected"
)

_NAME = r"[a-z][a-z0-9]*(?:[:._-][a-z0-9]+)*"
_VALUE = r"""(?:"[^"<>]*"|'[^'<>]*')"""
_ENTITIES = "|".join(sorted({*name2codepoint, "apos"}))


def _any_of(names: str) -> str:
    return "|".join(names.split())


MARKUP = "(?i)" + "|".join(
    (
        rf"</{_NAME}\s*>",
        rf"<{_NAME}\s*/>",
        # At least one value in quotes; an unquoted value only of a known attribute.
        rf"<{_NAME}(?:\s+[\w:.-]+(?:\s*=\s*[^\s<>]+)?)*\s+[\w:.-]+\s*=\s*{_VALUE}[^<>]*>",
        rf"<{_NAME}\s+(?:{_ATTRIBUTES})\s*=\s*[^\s<>]+[^<>]*>",
        rf"<(?:{_any_of(_ANYWHERE)}|{_any_of(_APART)})(?:\s+(?:{_SWITCHES}))+\s*/?>",
        rf"<(?:{_any_of(_ANYWHERE)})\s*>",
        rf"(?:^|[^\pL\pN_])<(?:{_any_of(_APART)})\s*>",
        r"^<[pbiu]>\S|<[pbiu]>$|(?:^|[.!?])\s*<p>",
        r"<!--|<!\[CDATA\[|<!doctype\s|<\?xml\s",
        r"&#(?:[0-9]{1,7}|x[0-9a-f]{1,6});",
    )
) + rf"|(?-i:&(?:{_ENTITIES});)"  # fmt: skip
"""A regular expression of RE2."""
