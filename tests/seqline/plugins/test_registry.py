"""Plugins are found by their entry points, checked against their contract, and refused with their origin."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seqline.errors import UserError
from seqline.metrics.metrics import find_metric
from seqline.plugins.registry import METRICS, RULES, check_installed
from tests.plugin_packages import forget, installed, write_package

METRIC = """
from seqline.plugins import metric

@metric("kept", label="Kept, %", higher_is_better=True, tasks=["translation"])
def kept(sources, outputs):
    return [100.0 * (source == output) for source, output in zip(sources, outputs)]
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "site").mkdir()
    with installed(tmp_path / "site"):
        yield tmp_path / "site"


def test_a_metric_of_a_package_is_found_by_its_name(site: Path) -> None:
    write_package(site, "my-metrics", "1.2", METRIC, {"metrics:kept": "kept"})
    found = find_metric("kept")
    assert (found.label, found.higher_is_better, found.tasks) == ("Kept, %", True, frozenset({"translation"}))
    check_installed()


def test_a_name_that_nobody_has_is_refused_with_the_nearest_and_the_remedy(site: Path) -> None:
    write_package(site, "my-metrics", "1.2", METRIC, {"metrics:kept": "kept"})
    with pytest.raises(UserError, match=r"no metric 'kep'; did you mean 'kept'\?.*images build --with PACKAGE"):
        find_metric("kep")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_library\n" + METRIC, "line 1.: ModuleNotFoundError: No module named 'no_such_library'"),
        ("from seqline.plugins import metric\n\n\n@metric('kept')\ndef kept(outputs): ...\n", "line 4.: TypeError"),
        ("raise SystemExit(3)\n" + METRIC, "line 1.: SystemExit: 3"),
        ("def broken(:\n" + METRIC, "SyntaxError: invalid syntax"),
        ("kept = 3\n", "is not decorated with @metric"),
        (METRIC.replace("@metric", "@(lambda *a, **b: lambda f: f)"), "is not decorated with @metric"),
        (METRIC.replace("sources, outputs", "sources, output"), "its parameter output is unknown"),
        (METRIC.replace("sources, outputs", "sources"), "it has no parameter outputs"),
        (METRIC.replace("higher_is_better=True", "higher_is_better='yes'"), "must be True, False or None, not 'yes'"),
        (METRIC.replace("translation", "singing"), "tasks must be some of translation.*not 'singing'"),
        (METRIC.replace('"kept"', '"saved"'), "its name is 'saved', and the entry point's 'kept'"),
        (METRIC.replace("def kept(sources, outputs):", "class kept:").replace("    return", "    x = lambda: "),
         "the class has no method count and no method score"),
        (METRIC.replace("import metric", "import rule").replace("@metric(", "@rule('kept', about='x') #"),
         "is not decorated with @metric"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_message_with_package_entry_point_and_file(
    site: Path, code: str, message: str
) -> None:
    file = write_package(site, "my-metrics", "1.2", code, {"metrics:kept": "kept"})
    with pytest.raises(UserError, match=message) as error:
        find_metric("kept")
    for part in ("my-metrics==1.2", "seqline.metrics: kept = my_metrics:kept", str(file)):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_two_plugins_with_one_name_are_refused(site: Path) -> None:
    write_package(site, "my-metrics", "1.2", METRIC, {"metrics:kept": "kept"})
    write_package(site, "your-metrics", "3", METRIC, {"metrics:kept": "kept"})
    with pytest.raises(UserError, match="two plugins have the name 'kept'") as error:
        find_metric("kept")
    assert "my-metrics==1.2" in str(error.value)
    assert "your-metrics==3" in str(error.value)
    with pytest.raises(UserError, match="two plugins have the name 'kept'"):
        check_installed()


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("metrics", "bleu"),
        ("rules", "identical"),
        ("architectures", "gpt"),
        ("notifiers", "slack"),
        ("targets", "vertex"),
    ],
)
def test_a_plugin_cannot_have_the_name_of_a_built_in(site: Path, group: str, name: str) -> None:
    write_package(site, "my-metrics", "1.2", METRIC, {f"{group}:{name}": "kept"})
    with pytest.raises(UserError, match=f"has the name of a built-in {group[:-1]}; rename it, or uninstall my-metrics"):
        check_installed()


def test_a_broken_package_breaks_no_run_that_does_not_use_it(site: Path) -> None:
    write_package(site, "broken", "1", "raise OSError\n", {"metrics:other": "other", "rules:strange": "x"})
    check_installed()
    assert find_metric("bleu").label == "BLEU"


def test_the_fingerprint_changes_with_version_and_code_and_with_nothing_else(tmp_path: Path) -> None:
    found = []
    for version, code in (("1", METRIC), ("1", METRIC), ("2", METRIC), ("1", METRIC + "# changed\n")):
        site = tmp_path / str(len(found))
        write_package(site, "my-metrics", version, code, {"metrics:kept": "kept"})
        with installed(site):
            METRICS.find("kept")  # also writes bytecode
            found.append(METRICS.fingerprint("kept"))
    first, again, newer, changed = found
    assert first == again
    assert first.startswith("my-metrics==1 ")
    assert len({first, newer, changed}) == 3


def test_a_stage_without_the_plugin_says_which_one_and_how_to_add_it(site: Path) -> None:
    file = write_package(site, "my-metrics", "1.2", METRIC, {"metrics:kept": "kept"})
    fingerprints = METRICS.fingerprints(["bleu", "kept"])
    METRICS.require("evaluate", fingerprints)
    file.write_text(METRIC + "# changed\n")
    with pytest.raises(UserError, match=r"the metric 'kept' of my-metrics==1.2 .*, but the run was checked with"):
        METRICS.require("evaluate", fingerprints)
    (site / "my_metrics-1.2.dist-info" / "entry_points.txt").unlink()
    forget()
    with pytest.raises(
        UserError, match=r"evaluate needs the metric 'kept' of my-metrics==1.2, .* --with my-metrics==1"
    ):
        METRICS.require("evaluate", fingerprints)


def test_doctor_lists_the_plugins_that_fit_and_what_is_wrong_with_the_others(site: Path) -> None:
    from seqline.checking.doctor import _plugins

    entries = {"metrics:kept": "kept", "rules:loud": "loud"}
    write_package(site, "my-metrics", "1.2", METRIC, entries)
    good, bad = _plugins()
    assert (good.state, good.message) == ("ok", "metric kept, my-metrics==1.2")
    assert (bad.state, bad.message) == ("error", "rule loud")
    assert "module 'my_metrics' has no attribute 'loud'" in bad.advice


def test_names_of_built_ins_need_no_fingerprint() -> None:
    assert RULES.fingerprints(["identical", "markup"]) == {}
