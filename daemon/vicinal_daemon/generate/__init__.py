"""From a prompt to text: prompt building (pure), engines that run the model, post-processing (pure)."""
