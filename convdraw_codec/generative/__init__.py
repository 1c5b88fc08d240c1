"""The generative models that the codec descends from, judged by likelihood: research, not files for keeps."""
