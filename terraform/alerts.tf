resource "google_monitoring_notification_channel" "emails" {
  for_each = toset(var.emails)

  display_name = each.value
  type         = "email"
  labels = {
    email_address = each.value
  }

  depends_on = [google_project_service.apis]
}

# A run that did not even start its exit task sends no notification of its own.
resource "google_monitoring_alert_policy" "failed_runs" {
  display_name          = "Seqline: a run failed"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.emails : channel.name]

  conditions {
    display_name = "A pipeline job ended with PIPELINE_STATE_FAILED"
    condition_matched_log {
      filter = join(" AND ", [
        "resource.type=\"aiplatform.googleapis.com/PipelineJob\"",
        "log_id(\"aiplatform.googleapis.com/pipeline_job_events\")",
        "jsonPayload.state=\"PIPELINE_STATE_FAILED\"",
      ])
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "`seqline runs list` names the run; `seqline runs logs RUN` shows why it failed."
  }

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "endpoint_errors" {
  display_name          = "Seqline: an endpoint answers with errors"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.emails : channel.name]

  conditions {
    display_name = "Share of answers with status 5xx"
    condition_threshold {
      filter = join(" AND ", [
        "resource.type=\"aiplatform.googleapis.com/Endpoint\"",
        "metric.type=\"aiplatform.googleapis.com/prediction/online/response_count\"",
        "metric.labels.response_code=monitoring.regex.full_match(\"5..\")",
      ])
      denominator_filter = join(" AND ", [
        "resource.type=\"aiplatform.googleapis.com/Endpoint\"",
        "metric.type=\"aiplatform.googleapis.com/prediction/online/response_count\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = var.error_share
      duration        = "300s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.labels.endpoint_id"]
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.labels.endpoint_id"]
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "`seqline endpoint rollback` makes the previous version live again."
  }

  depends_on = [google_project_service.apis]
}
