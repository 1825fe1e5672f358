"""Several nodes on real NATS servers, which the tests start themselves."""
