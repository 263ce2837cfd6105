"""Fine-tuning and decoding of a pretrained checkpoint, SmolLM2-135M-Instruct, compared with its peers."""
