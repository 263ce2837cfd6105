"""Names of options in older configurations, and what they are called now."""

RENAMED = {
    "accumulate": "training.gradient_accumulation_steps",
    "average": "training.ema_momentum",
    "decay": "training.lr_schedule",
    "weights": "decoding.weight_dtype",
    "model_license": "model_card.license",
    "smallest_slice": "evaluation.min_slice_size",
    "human": "human_evaluation",
    "serving_image": "serving.image",
    "serving_machine_type": "serving.machine_type",
    "serving_max_replicas": "serving.max_replicas",
    "serving_service_account": "serving.service_account",
}
