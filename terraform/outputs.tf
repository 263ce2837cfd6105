output "configuration" {
  description = "The part of seqline.yaml that follows from this project: `terraform output -raw configuration`."
  value = yamlencode({
    images = {
      repository = "${var.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
    }
    targets = {
      vertex = merge({
        project         = var.project
        location        = var.location
        pipeline_root   = "gs://${google_storage_bucket.runs.name}/runs"
        repository      = google_artifact_registry_repository.templates.repository_id
        service_account = google_service_account.accounts["runs"].email
        parameters = {
          serving = { service_account = google_service_account.accounts["serving"].email }
        }
      }, var.encryption_key == null ? {} : { encryption_key = var.encryption_key })
    }
  })
}

output "dataflow_account" {
  description = "targets.vertex.dataflow.service_account, where tokenize runs on Dataflow."
  value       = google_service_account.accounts["dataflow"].email
}

output "data_bucket" {
  description = "Bucket for the pairs to train on."
  value       = google_storage_bucket.data.name
}

output "project_number" {
  description = "Number of the project, as it stands in the names of networks and service agents."
  value       = data.google_project.this.number
}
