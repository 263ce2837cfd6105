# Artifacts of the runs: targets.vertex.pipeline_root is gs://NAME/runs.
resource "google_storage_bucket" "runs" {
  name                        = "${var.project}-${var.prefix}-runs"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.deletable

  # Beam's temporary files. Artifacts stay: a cached task points at those of an older run.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["runs/dataflow/temp/", "runs/dataflow/staging/"]
    }
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.apis, google_kms_crypto_key_iam_member.agents]
}

# Pairs to train on; versioned, so that the data of an older run can still be read.
resource "google_storage_bucket" "data" {
  name                        = "${var.project}-${var.prefix}-data"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.deletable

  versioning {
    enabled = true
  }

  dynamic "encryption" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.apis, google_kms_crypto_key_iam_member.agents]
}
