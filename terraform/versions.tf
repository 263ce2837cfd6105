# A project for Seqline: APIs, buckets, repositories, service accounts with their roles, and alerts. docs/vertex.md
# explains it. `terraform init && terraform apply -var project=MY-PROJECT`.

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.location
}

data "google_project" "this" {
  depends_on = [google_project_service.apis]
}
