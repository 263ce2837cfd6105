"""The KFP contract of experiment."""

from kfp import dsl


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def experiment(
    name: str,
    run: str,
    labels: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    api_endpoint: str = "",
) -> None:
    """Enters the run into an Experiment of Vertex AI, which shows the parameters and metrics of all its runs.

    Args:
        name: The Experiment; created if there is none.
        run: The run, projects/P/locations/L/pipelineJobs/ID.
        labels: Labels of a new Experiment.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.
    """
    from seqline.components.experiment.stage import enter

    enter(name, run, labels, api_endpoint)
