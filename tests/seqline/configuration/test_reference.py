from seqline.configuration.reference import reference


def test_every_key_is_in_the_table_of_its_group() -> None:
    page = reference()
    training = page[page.index("## targets.vertex.training\n") : page.index("## targets.vertex.dataflow\n")]
    assert '| `machine_type` | text | `"n1-standard-8"` |' in training
    # Small groups are part of the table above them.
    assert "| `tpu.version` | v2, v3, v5e | required |" in training
    assert "| `cron` | text | required |" in page[page.index("## schedules.NAME\n") :]
