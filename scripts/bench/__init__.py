"""The rooms of the benchmark: environments, photos, the pipelines compared, their agreement, and the report."""
