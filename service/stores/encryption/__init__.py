"""Pictures, remarks and metadata encrypted before a store gets them."""
