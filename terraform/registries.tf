# images.repository in seqline.yaml is LOCATION-docker.pkg.dev/PROJECT/seqline-images.
resource "google_artifact_registry_repository" "images" {
  location      = var.location
  repository_id = "${var.prefix}-images"
  format        = "DOCKER"
  description   = "Images of Seqline's stages"
  kms_key_name  = var.encryption_key

  depends_on = [google_project_service.apis, google_kms_crypto_key_iam_member.agents]
}

# targets.vertex.repository in seqline.yaml is seqline-templates.
resource "google_artifact_registry_repository" "templates" {
  location      = var.location
  repository_id = "${var.prefix}-templates"
  format        = "KFP"
  description   = "Compiled pipelines"
  kms_key_name  = var.encryption_key

  depends_on = [google_project_service.apis, google_kms_crypto_key_iam_member.agents]
}
