# The roles of each identity, by what they are granted on. docs/vertex.md says what fails without each; a test holds
# this file, that table and what `seqline doctor --target vertex` asks for equal.

locals {
  project_roles = {
    # BigQuery's role is needed for either, and granted once.
    runs = distinct(concat(
      ["roles/aiplatform.user"],
      var.dataflow ? ["roles/dataflow.developer"] : [],
      length(var.bigquery_datasets) > 0 ? ["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"] : [],
      var.monitoring ? ["roles/bigquery.jobUser"] : [],
      var.cloud_monitoring ? ["roles/monitoring.metricWriter"] : [],
    ))
    dataflow = var.dataflow ? ["roles/dataflow.worker"] : []
    schedule = concat(
      ["roles/aiplatform.user", "roles/logging.viewer"],
      var.triggers ? ["roles/workflows.editor", "roles/eventarc.developer"] : [],
    )
    trigger = var.triggers ? [
      "roles/aiplatform.user",
      "roles/eventarc.eventReceiver",
      "roles/workflows.invoker",
    ] : []
    storage-agent = var.triggers ? ["roles/pubsub.publisher"] : []
  }

  # On the bucket of the runs.
  bucket_roles = {
    runs     = ["roles/storage.objectUser", "roles/storage.legacyBucketReader"]
    dataflow = var.dataflow ? ["roles/storage.objectUser", "roles/storage.legacyBucketReader"] : []
    serving  = ["roles/storage.objectViewer"]
  }

  # On each bucket of data.
  data_roles = {
    runs     = ["roles/storage.objectViewer"]
    dataflow = var.dataflow ? ["roles/storage.objectViewer"] : []
    schedule = var.triggers ? ["roles/storage.legacyBucketReader"] : []
    trigger  = var.triggers ? ["roles/storage.objectViewer"] : []
  }

  # On the repository of images.
  images_roles = {
    runs     = ["roles/artifactregistry.reader"]
    dataflow = var.dataflow ? ["roles/artifactregistry.reader"] : []
    schedule = ["roles/artifactregistry.writer"]
  }

  # On the repository of templates.
  templates_roles = {
    runs     = ["roles/artifactregistry.reader"]
    schedule = ["roles/artifactregistry.writer"]
    trigger  = var.triggers ? ["roles/artifactregistry.reader"] : []
  }

  # On each dataset.
  dataset_roles = {
    runs = length(var.bigquery_datasets) > 0 ? ["roles/bigquery.dataViewer"] : []
  }

  # On the dataset of the log of requests.
  log_roles = {
    runs         = var.log_dataset != null && var.monitoring ? ["roles/bigquery.dataViewer"] : []
    vertex-agent = var.log_dataset != null ? ["roles/bigquery.dataEditor"] : []
  }

  # On the encryption key.
  key_roles = {
    storage-agent  = var.encryption_key != null ? ["roles/cloudkms.cryptoKeyEncrypterDecrypter"] : []
    registry-agent = var.encryption_key != null ? ["roles/cloudkms.cryptoKeyEncrypterDecrypter"] : []
    vertex-agent   = var.encryption_key != null ? ["roles/cloudkms.cryptoKeyEncrypterDecrypter"] : []
    dataflow-agent = var.encryption_key != null && var.dataflow ? ["roles/cloudkms.cryptoKeyEncrypterDecrypter"] : []
    compute-agent  = var.encryption_key != null && var.dataflow ? ["roles/cloudkms.cryptoKeyEncrypterDecrypter"] : []
  }

  # On the secret with the webhook's address.
  secret_roles = {
    runs = var.webhook ? ["roles/secretmanager.secretAccessor"] : []
  }

  # On the service account `runs`.
  runs_roles = {
    runs     = ["roles/iam.serviceAccountUser"]
    schedule = ["roles/iam.serviceAccountUser"]
    trigger  = var.triggers ? ["roles/iam.serviceAccountUser"] : []
  }

  # On the service account `dataflow`.
  dataflow_roles = {
    runs = var.dataflow ? ["roles/iam.serviceAccountUser"] : []
  }

  # On the service account `serving`.
  serving_roles = {
    runs = ["roles/iam.serviceAccountUser"]
  }

  # On the service account `trigger`.
  trigger_roles = {
    schedule = var.triggers ? ["roles/iam.serviceAccountUser"] : []
  }

  data_buckets = concat([google_storage_bucket.data.name], var.data_buckets)
}

resource "google_project_iam_member" "roles" {
  for_each = merge([
    for identity, roles in local.project_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  project = var.project
  role    = each.value.role
  member  = each.value.member
}

resource "google_storage_bucket_iam_member" "runs" {
  for_each = merge([
    for identity, roles in local.bucket_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  bucket = google_storage_bucket.runs.name
  role   = each.value.role
  member = each.value.member
}

resource "google_storage_bucket_iam_member" "data" {
  for_each = merge(flatten([
    for bucket in local.data_buckets : [
      for identity, roles in local.data_roles : {
        for role in roles : "${bucket} ${identity} ${role}" => {
          bucket = bucket, member = local.members[identity], role = role
        }
      }
    ]
  ])...)

  bucket = each.value.bucket
  role   = each.value.role
  member = each.value.member
}

resource "google_artifact_registry_repository_iam_member" "images" {
  for_each = merge([
    for identity, roles in local.images_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = each.value.role
  member     = each.value.member
}

resource "google_artifact_registry_repository_iam_member" "templates" {
  for_each = merge([
    for identity, roles in local.templates_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  location   = google_artifact_registry_repository.templates.location
  repository = google_artifact_registry_repository.templates.name
  role       = each.value.role
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "data" {
  for_each = merge(flatten([
    for dataset in var.bigquery_datasets : [
      for identity, roles in local.dataset_roles : {
        for role in roles : "${dataset} ${identity} ${role}" => {
          dataset = dataset, member = local.members[identity], role = role
        }
      }
    ]
  ])...)

  dataset_id = each.value.dataset
  role       = each.value.role
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "log" {
  for_each = merge([
    for identity, roles in local.log_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  project    = split(".", var.log_dataset)[0]
  dataset_id = split(".", var.log_dataset)[1]
  role       = each.value.role
  member     = each.value.member
}

# Before the buckets and repositories, which are encrypted with the key.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = merge([
    for identity, roles in local.key_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  crypto_key_id = var.encryption_key
  role          = each.value.role
  member        = each.value.member
}

resource "google_secret_manager_secret" "webhook" {
  count = var.webhook ? 1 : 0

  secret_id = "${var.prefix}-webhook"
  replication {
    auto {}
  }

  depends_on = [google_project_service.apis]
}

resource "google_secret_manager_secret_iam_member" "webhook" {
  for_each = merge([
    for identity, roles in local.secret_roles : {
      for role in roles : "${identity} ${role}" => { member = local.members[identity], role = role }
    }
  ]...)

  secret_id = google_secret_manager_secret.webhook[0].secret_id
  role      = each.value.role
  member    = each.value.member
}

resource "google_service_account_iam_member" "acts_as" {
  for_each = merge(flatten([
    for account, grants in {
      runs     = local.runs_roles
      dataflow = local.dataflow_roles
      serving  = local.serving_roles
      trigger  = local.trigger_roles
      } : [
      for identity, roles in grants : {
        for role in roles : "${account} ${identity} ${role}" => {
          account = account, member = local.members[identity], role = role
        }
      }
    ]
  ])...)

  service_account_id = google_service_account.accounts[each.value.account].name
  role               = each.value.role
  member             = each.value.member
}
