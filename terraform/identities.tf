locals {
  accounts = {
    runs     = "Runs: every task, custom job and trial"
    dataflow = "Dataflow workers of tokenize and infer"
    serving  = "Model server of an endpoint"
    schedule = "Whoever uploads, schedules and promotes: CI, or an engineer who impersonates it"
    trigger  = "Workflow that new data starts, and its events"
  }
}

resource "google_service_account" "accounts" {
  for_each = local.accounts

  account_id   = "${var.prefix}-${each.key}"
  display_name = "Seqline ${each.key}"
  description  = each.value

  depends_on = [google_project_service.apis]
}

# It publishes the events of the buckets, and encrypts their objects.
data "google_storage_project_service_account" "agent" {
  depends_on = [google_project_service.apis]
}

locals {
  members = merge(
    { for name, account in google_service_account.accounts : name => "serviceAccount:${account.email}" },
    { storage-agent = "serviceAccount:${data.google_storage_project_service_account.agent.email_address}" },
    # Google's other service agents: https://cloud.google.com/iam/docs/service-agents
    { for name, domain in local.agents : name => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com" },
  )

  agents = {
    registry-agent = "gcp-sa-artifactregistry"
    vertex-agent   = "gcp-sa-aiplatform"
    compute-agent  = "compute-system"
    dataflow-agent = "dataflow-service-producer-prod"
  }
}
