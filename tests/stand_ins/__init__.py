"""Stand-ins of cloud services: real HTTP servers on loopback that the real clients talk to.

    with VertexStandIn.running() as vertex:
        client = PipelineServiceClient(transport="rest", client_options={"api_endpoint": vertex.url}, ...)
        vertex.faults.add("CreateSchedule", "lost answer")
        vertex.calls            # [("CreateSchedule", <CreateScheduleRequest>), ...]

They parse every request into the real request type and reject what the schema rejects, keep state, paginate, return
long-running operations, and fail on demand.
"""
