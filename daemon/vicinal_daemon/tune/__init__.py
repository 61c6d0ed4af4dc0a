"""Learning from the picks: training examples, the LoRA tuner, its guard. The base weights never change."""
