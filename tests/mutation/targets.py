"""What is mutated, and the tests that must notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Modules, and their tests.

    Attributes:
        modules: Paths under `seqline/`.
        tests: Paths under `tests/`.
        imports: Libraries that the tests need, imported once and not for every mutant.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    imports: tuple[str, ...]


PLAIN = ("_hypothesis_pytestplugin", "hypothesis", "jinja2", "numpy", "pydantic", "pytest_timeout", "yaml")
METRICS = (*PLAIN, "rouge_score.rouge_scorer", "sacrebleu")
SERVING = (*PLAIN, "asyncio", "fastapi", "httpx", "prometheus_client")
TENSORFLOW = (*METRICS, "tensorflow", "tensorflow_text")
BEAM = (*PLAIN, "apache_beam", "pyarrow.compute", "pyarrow.parquet", "xxhash", "zstandard")

# Not mutated: component.py and __main__.py, which only pass arguments on; report.py and console.py, whose output is a
# page or a console for people.
TARGETS = (
    Target(("atomic.py", "buckets.py"), ("seqline/test_atomic.py", "seqline/test_buckets.py"), PLAIN),
    Target(("metrics/resampling.py", "metrics/draws.py"), ("seqline/metrics/test_resampling.py",), METRICS),
    Target(
        ("components/bless/checks.py", "components/bless/rules.py"),
        tuple(f"components/bless/test_{name}.py" for name in ("rules", "checks", "every_rule")),
        METRICS,
    ),
    Target(("components/bless/anchor.py",), ("components/bless/test_anchor.py",), METRICS),
    Target(("components/bless/movement.py",), ("components/bless/test_movement.py",), METRICS),
    Target(
        ("components/bless/evaluation_pair.py",),
        tuple(f"components/bless/test_{name}.py" for name in ("evaluation_pair", "checks", "every_rule")),
        METRICS,
    ),
    Target(
        ("components/bless/stage.py",),
        ("components/bless/test_stage.py",),
        (*METRICS, "kfp.dsl"),
    ),
    Target(("components/tokenize/splits.py",), ("components/tokenize/test_splits.py",), BEAM),
    Target(("components/tokenize/segments.py",), ("components/tokenize/test_segments.py",), BEAM),
    Target(
        ("components/tokenize/cleaning.py",),
        tuple(f"components/tokenize/test_{name}.py" for name in ("cleaning", "rows", "splits")),
        BEAM,
    ),
    # The health of a version is decided by its batcher.
    Target(("serving/batching.py",), ("seqline/serving/test_batching.py", "seqline/serving/test_versions.py"), SERVING),
    Target(("serving/versions.py",), ("seqline/serving/test_versions.py",), SERVING),
    Target(("endpoints/rollout.py",), ("seqline/endpoints/test_rollout.py",), SERVING),
    Target(
        tuple(f"components/deploy/{name}.py" for name in ("stage", "lineage")),
        ("components/deploy",),
        SERVING,
    ),
    # Defaults and bounds are in the page of parameters.
    Target(
        ("components/deploy/options.py", "components/evaluate/options.py"),
        ("components/deploy/test_options.py", "seqline/schema/test_reference.py"),
        PLAIN,
    ),
    Target(("components/evaluate/gaps.py",), ("components/evaluate/test_gaps.py",), METRICS),
    Target(
        ("components/evaluate/decoding.py",),
        ("components/evaluate/test_decoding.py", "components/evaluate/test_evaluate.py"),
        TENSORFLOW,
    ),
    Target(("components/evaluate/measuring.py",), ("components/evaluate/test_measuring.py",), TENSORFLOW),
    Target(
        ("components/evaluate/stage.py",),
        ("components/evaluate/test_evaluate.py",),
        TENSORFLOW,
    ),
)
