"""Starts runs of the training pipeline: on Vertex AI, on Kubeflow, and on a laptop."""

from typing import Protocol

from seqline.artifacts.retraining import Attempt
from seqline.components.retrain.options import Options
from seqline.errors import UserError


class Starter(Protocol):
    """Starts runs of one target. Each method can be called again after an interruption."""

    def start(self, attempt: Attempt, options: Options) -> Attempt:
        """Starts the run of an attempt, unless it was started.

        Args:
            attempt: The attempt.
            options: Options of retraining.

        Returns:
            The attempt, with the service's id of the run.
        """

    def runs(self, attempt: Attempt) -> bool:
        """Whether the run of an attempt has not ended.

        Args:
            attempt: The attempt.
        """

    def knows(self, attempt: Attempt) -> bool:
        """Whether the run of an attempt was started, although the answer may have been lost.

        Args:
            attempt: The attempt.
        """

    def where(self, attempt: Attempt) -> str:
        """Where its run can be followed, as the end of a sentence.

        Args:
            attempt: An attempt that was started.
        """


def starter_of(options: Options, run: str, api_endpoint: str, address: str) -> Starter:
    """Chooses the starter by where this run is.

    Args:
        options: Options of retraining.
        run: The name of this run.
        api_endpoint: Host of the Vertex API.
        address: Address of an output of this run.

    Raises:
        UserError: If the template is not of this target.
    """
    from seqline.components.retrain import kubeflow, laptop, vertex

    template = options.template
    if vertex.RUN.fullmatch(run):
        if not template.startswith(("https://", "http://", "gs://")):
            raise UserError(
                f"retraining.template is {template!r}: set the address of the uploaded training pipeline, which "
                "`seqline upload --pipeline training --target vertex` prints"
            )
        return vertex.Vertex(run, api_endpoint)
    if "://" in address:
        if not template.startswith(kubeflow.SCHEME):
            raise UserError(
                f"retraining.template is {template!r}: set the address of the uploaded training pipeline, which "
                "`seqline upload --pipeline training --target kubeflow` prints"
            )
        return kubeflow.Kubeflow(options.host)
    if "://" in template:
        raise UserError(f"retraining.template: {template} is on a server, and this run is on a laptop; leave it empty")
    return laptop.Laptop(laptop.home_of(options.home, address))
