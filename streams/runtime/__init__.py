"""How batches reach Faust agents: Kafka consumers and transactional producers under a Faust app."""
