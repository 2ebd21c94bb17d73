"""A gallery as lines of JSON: exported from a store and imported into one, by the service and by the indexer."""
