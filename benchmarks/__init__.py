"""The load-test harness: stages, the whole way, workloads, capacity, peers. Results go to benchmarks/results."""
