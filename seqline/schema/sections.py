"""The sections of a run's options: one object for each stage, checked and completed by that stage's schema.

A stage's model holds its section's fields and, by the same names, the parameters of the run that it reads too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

from seqline.documentation import page
from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.auto import AUTO
from seqline.schema.options import BaseOptions, Fault, OptionsError
from seqline.schema.renamed import RENAMED
from seqline.schema.run import RunParameters

DOCUMENTATION = page("parameters.md")


@dataclass(frozen=True)
class Section:
    """One object among a pipeline's parameters.

    Attributes:
        name: The parameter's name.
        stage: The stage that reads it.
        schema: The stage's model, as `module:name`. It is imported when it is first needed.
        field: The one field that the parameter is the value of, where it is a list and no object; empty otherwise.
    """

    name: str
    stage: str
    schema: str
    field: str = ""

    @property
    def kind(self) -> str:
        """KFP's type of the parameter."""
        return "LIST" if self.field else "STRUCT"

    @property
    def model(self) -> type[BaseOptions]:
        """The stage's model."""
        found: type[BaseOptions] = resolve_name(self.schema)
        return found

    @property
    def selected(self) -> dict[str, Any]:
        """The options that are selected for a run without options, with the word for that; a fixed preset ends this."""
        return {**self.model.implied({}), **implied({"training": {}}).get(self.name, {})}

    @property
    def fields(self) -> list[str]:
        """The options of the section: those of the model that are not parameters of the run."""
        return [name for name in self.model.model_fields if name not in RunParameters.model_fields]

    def resolve(
        self, value: Any, run: Mapping[str, Any], implied: Mapping[str, Any] = MappingProxyType({})
    ) -> BaseOptions:
        """Checks the section, and completes it.

        Args:
            value: The parameter's value.
            run: Parameters of the run by name; the stage's own are picked.
            implied: Defaults that other sections imply; see `implied`.

        Raises:
            OptionsError: With every fault, each with its path from the parameter's name on.
        """
        if self.field:
            shared = {name: run[name] for name in self.model.model_fields if name in run}
            return self.model(**{**shared, self.field: value})
        if not isinstance(value, Mapping):
            raise OptionsError([Fault((self.name,), f"must be an object such as {self._example}, not {value!r}")])
        misplaced = {
            **dict.fromkeys(RunParameters.model_fields, "is a parameter of the run: set it by its own name"),
            **{name: f"is now {path}" for name, path in RENAMED.items() if name not in self.fields},
        }
        faults = [Fault((self.name, name), misplaced[name]) for name in value if name in misplaced]
        shared = {name: run[name] for name in self.model.model_fields if name in run}
        given = {name: one for name, one in value.items() if name not in misplaced}
        try:
            options = self.model(**{**shared, **implied, **given})
        except OptionsError as error:
            # A fault in a parameter of the run keeps its own name.
            theirs = [fault for fault in error.faults if fault.path[:1] and fault.path[0] in shared]
            ours = OptionsError([fault for fault in error.faults if fault not in theirs]).within(self.name)
            raise OptionsError([*faults, *theirs, *ours.faults]) from None
        if faults:
            raise OptionsError(faults)
        return options

    def normal(self, value: BaseOptions, implied: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """The one form in which these options are submitted: what differs from the defaults.

        Args:
            value: From `resolve`.
            implied: Defaults that other sections imply; see `implied`.
        """
        if self.field:
            return value.model_dump(mode="json", exclude_defaults=True).get(self.field, [])
        return {name: one for name, one in value.changed(implied).items() if name in self.fields}

    @property
    def _example(self) -> str:
        fields = self.model.model_fields
        defaults = {name: fields[name].get_default(call_default_factory=True) for name in self.fields}
        # A default that is not empty is the better example.
        name, default = next(((name, one) for name, one in defaults.items() if one), next(iter(defaults.items())))
        return f'{{"{name}": {default!r}}}'.replace("'", '"')


SECTIONS = {
    section.name: section
    for section in (
        Section("corpus", "tokenize", "seqline.components.tokenize.options:Options"),
        Section("tuning", "tune", "seqline.components.tune.options:Options"),
        Section("training", "train", "seqline.components.train.options:Options"),
        Section("decoding", "export", "seqline.components.export.options:DecodingOptions"),
        Section("model_card", "export", "seqline.components.export.options:ModelCardOptions"),
        Section("evaluation", "evaluate", "seqline.components.evaluate.options:Options"),
        Section("gate", "bless", "seqline.components.bless.options:Options", field="gate"),
        Section("serving", "deploy", "seqline.components.deploy.options:Options"),
        Section("inference", "infer", "seqline.components.infer.options:Options"),
        Section("monitoring", "monitor", "seqline.components.monitor.options:Options"),
        Section("retraining", "retrain", "seqline.components.retrain.options:Options"),
        Section("notification", "summarize", "seqline.components.summary.options:NotificationOptions"),
    )
}


def resolve(run: Mapping[str, Any], sections: Mapping[str, Any]) -> dict[str, BaseOptions]:
    """Checks a run's parameters by the schemas of all stages that will read them.

    Args:
        run: Parameters of the run by name.
        sections: Values of sections by name.

    Returns:
        The complete options of each section's stage.

    Raises:
        OptionsError: With every fault of every section.
    """
    resolved, faults = {}, list(_faults(RunParameters, run))
    run = _with_implied_tokenizer(run, sections)
    more = implied(sections)
    for name, value in sections.items():
        try:
            resolved[name] = options = SECTIONS[name].resolve(value, run, more.get(name, {}))
            faults += OptionsError([*options.faults_in(run)]).within(name).faults
        except OptionsError as error:  # noqa: PERF203
            faults += error.faults
    if faults:
        raise OptionsError(list(dict.fromkeys(faults)))
    return resolved


def implied(sections: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Other defaults of a section, by its name, which the values of another section imply.

    Args:
        sections: Values of sections by name.
    """
    training = sections.get("training")
    if not isinstance(training, Mapping):
        return {}
    model = SECTIONS["training"].model
    if not model.selects_preset(training):  # type: ignore[attr-defined]
        return {}
    if "tuning" in sections and "preset" not in training:
        return {"training": {"preset": model.FIXED_PRESET}}  # type: ignore[attr-defined]
    # The vocabulary is chosen as the other options of a training's size are.
    return {"corpus": {"vocabulary_size": AUTO}}


def _with_implied_tokenizer(run: Mapping[str, Any], sections: Mapping[str, Any]) -> Mapping[str, Any]:
    """Adds the tokenizer of the checkpoint that training starts from, where none is named."""
    training = sections.get("training")
    pretrained = training.get("pretrained") if isinstance(training, Mapping) else ""
    if isinstance(pretrained, str) and pretrained and not run.get("tokenizer"):
        return {**run, "tokenizer": pretrained}
    return run


def _faults(model: type[BaseOptions], values: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        model(**values)
    except OptionsError as error:
        yield from error.faults


def owners(option: str, sections: Iterable[str]) -> list[str]:
    """The sections that have an option.

    Args:
        option: Its name without a section.
        sections: Where to look.
    """
    return [name for name in sections if not SECTIONS[name].field and option in SECTIONS[name].fields]


def qualify(option: str, parameters: Iterable[str], sections: Iterable[str]) -> tuple[str, ...]:
    """Finds the path of an option that is named without its section.

    Args:
        option: The name.
        parameters: Names of the pipeline's parameters.
        sections: Those of them that are sections.

    Returns:
        The section and the name; or the name alone, where it is a parameter.

    Raises:
        UserError: If no section or several have it; the message has the nearest names.
    """
    parameters, sections = list(parameters), list(sections)
    if option in parameters:
        return (option,)
    found = owners(option, sections)
    if len(found) == 1:
        return (found[0], option)
    if found:
        raise UserError(f"{option} is an option of {' and '.join(found)}; write {found[0]}.{option}")
    if option in RENAMED:
        raise UserError(f"{option} is now {RENAMED[option]}")
    if option in SECTIONS:
        raise UserError(f"this pipeline has no stage with the options of {option}; available: {', '.join(parameters)}")
    known = {name: name for name in parameters}
    known |= {name: f"{section}.{name}" for section in sections for name in SECTIONS[section].fields}
    hint = nearest(option, known)
    for name, full in known.items():
        hint = hint.replace(f"{name!r}", f"{full!r}")
    raise UserError(f"there is no parameter {option!r}; {hint}")
