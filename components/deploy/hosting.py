"""How Vertex hosts the versions, by deploy's options."""

from seqline.components.deploy.options import Cloud, Options
from seqline.endpoints.vertex_hosting import Access, Hosting, Machine


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
