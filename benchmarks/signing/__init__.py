"""What a signature costs: the key alone, and the whole path from a CSR over HTTP to the certificate.

    .venv/bin/python -m benchmarks.signing [--seconds N] [--profile FOLDER]        (make bench-signing)

One run, one table, about 80 s on a quiet machine. Everything is real but the cloud: a durable Postgres, a RabbitMQ,
gateway and authority as processes of their own, started once for each bus. **The load generator, both servers and the
simulated cloud share the cores with the two processes that are measured**, so the figures are of the whole, and the CPU
that a signature costs each of them stands beside. The bare signature is compared with `openssl speed` of the same
minute.
"""
