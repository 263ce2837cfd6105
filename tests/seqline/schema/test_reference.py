from seqline.schema.reference import reference


def test_a_default_and_its_bounds_are_in_the_table() -> None:
    assert "| `noise_share` | number, at least 0 and below 1 | `0.0` |" in reference()
    shown = '| `dropout` | number, at least 0 and below 1, or auto | `"auto"`; `0.1` with a fixed preset |'
    assert shown in reference()
