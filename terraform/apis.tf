locals {
  apis = concat(
    [
      "aiplatform.googleapis.com",
      "artifactregistry.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "compute.googleapis.com",
      "iam.googleapis.com",
      "iamcredentials.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "storage.googleapis.com",
    ],
    var.dataflow ? ["dataflow.googleapis.com"] : [],
    var.triggers ? [
      "eventarc.googleapis.com",
      "eventarcpublishing.googleapis.com",
      "pubsub.googleapis.com",
      "workflowexecutions.googleapis.com",
      "workflows.googleapis.com",
    ] : [],
    length(var.bigquery_datasets) > 0 ? ["bigquery.googleapis.com", "bigquerystorage.googleapis.com"] : [],
    var.webhook ? ["secretmanager.googleapis.com"] : [],
    var.monitoring || var.log_dataset != null ? ["bigquery.googleapis.com"] : [],
    var.encryption_key != null ? ["cloudkms.googleapis.com"] : [],
  )
}

resource "google_project_service" "apis" {
  for_each = toset(local.apis)

  service            = each.value
  disable_on_destroy = false
}
