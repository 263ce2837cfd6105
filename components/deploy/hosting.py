"""How Vertex or KServe hosts the versions, by deploy's options."""

from seqline.components.deploy.options import Cloud, Options
from seqline.endpoints.kserve.hosting import Hosting as KServeHosting
from seqline.endpoints.sampling import Sampling
from seqline.endpoints.vertex_hosting import Access, Hosting, Machine
from seqline.paths import local


def hosting_of(options: Options, cloud: Cloud) -> Hosting:
    """Returns how Vertex hosts the versions that deploy makes live.

    Args:
        options: Serving options.
        cloud: Key and labels of the resources.
    """
    machine = Machine(
        image=options.image,
        machine_type=options.machine_type,
        min_replicas=options.min_replicas,
        max_replicas=options.max_replicas,
        service_account=options.service_account,
        accelerator_type=options.accelerator_type,
        accelerator_count=options.accelerator_count,
        target_utilization=options.target_utilization,
        spot=options.spot,
    )
    access = Access(
        kind=options.endpoint_type,
        timeout=options.request_timeout,
        logged=options.log_requests,
        log_table=options.log_table,
        projects=tuple(options.private_projects),
        network=options.private_network,
        address=options.private_address,
    )
    return Hosting(machine, access, cloud.encryption_key, cloud.labels)


def kserve_hosting_of(options: Options) -> KServeHosting:
    """Returns how KServe hosts the versions that deploy makes live.

    Args:
        options: Serving options.
    """
    metric, target = options.scale_metric, options.scale_target
    if options.deployment_mode == "standard" and metric in ("", "cpu"):
        metric, target = "cpu", target or options.target_utilization
    return KServeHosting(
        image=options.image,
        mode=options.deployment_mode,
        cpu=options.cpu,
        memory=options.memory,
        gpus=(options.accelerator_count or 1) if options.accelerator_type else 0,
        min_replicas=options.min_replicas,
        max_replicas=options.max_replicas,
        scale_metric=metric,
        scale_target=target,
        service_account=options.service_account,
        timeout=options.request_timeout,
        gateway=options.gateway,
        sampling=sampling_of(options),
    )


def sampling_of(options: Options) -> Sampling:
    """Returns what a server samples of its requests.

    Args:
        options: Serving options.
    """
    return Sampling(
        share=options.sample_requests,
        texts=options.sample_texts,
        redact=options.redact,
        folder=local(options.sample_folder),
        megabytes=options.sample_megabytes,
    )
