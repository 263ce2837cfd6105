"""From a pipeline function to its compiled spec."""
