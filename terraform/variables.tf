variable "project" {
  type        = string
  description = "Project ID."
}

variable "location" {
  type        = string
  default     = "europe-west4"
  description = "Region of runs, buckets and repositories; targets.vertex.location in seqline.yaml."
}

variable "prefix" {
  type        = string
  default     = "seqline"
  description = "Prefix of the service accounts and repositories. With another one, set triggers.NAME.service_account."
}

variable "data_buckets" {
  type        = list(string)
  default     = []
  description = "Existing buckets with data, besides the one that is created here."
}

variable "dataflow" {
  type        = bool
  default     = true
  description = "Whether tokenize or infer runs on Dataflow."
}

variable "triggers" {
  type        = bool
  default     = true
  description = "Whether new data in a bucket starts runs."
}

variable "bigquery_datasets" {
  type        = list(string)
  default     = []
  description = "Datasets that data queries read."
}

variable "monitoring" {
  type        = bool
  default     = true
  description = "Whether the pipeline `monitoring` reads the log of requests; log_dataset names its dataset."
}

variable "cloud_monitoring" {
  type        = bool
  default     = true
  description = "Whether it writes its figures to Cloud Monitoring, which monitoring.cloud_monitoring turns on."
}

variable "log_dataset" {
  type        = string
  default     = null
  description = "Dataset of serving.log_table, as PROJECT.DATASET. It must exist. Vertex AI may write to it, and monitoring read it."

  validation {
    condition     = var.log_dataset == null || can(regex("^[^.]+[.][A-Za-z0-9_]+$", var.log_dataset))
    error_message = "Write PROJECT.DATASET."
  }
}

variable "webhook" {
  type        = bool
  default     = false
  description = "Whether to create a secret for the address of a webhook; `gcloud secrets versions add` sets its value."
}

variable "encryption_key" {
  type        = string
  default     = null
  description = "Key of the buckets and repositories, as projects/P/locations/L/keyRings/R/cryptoKeys/K. Google's service agents are granted its use; whoever applies this needs roles/cloudkms.admin on it."
}

variable "emails" {
  type        = list(string)
  default     = []
  description = "Addresses that get alerts."
}

variable "deletable" {
  type        = bool
  default     = false
  description = "Whether `terraform destroy` deletes buckets that are not empty."
}

variable "error_share" {
  type        = number
  default     = 0.05
  description = "Share of an endpoint's answers with status 5xx above which an alert starts."
}
