"""The data plane, `/v2/`: the OCI distribution API over `storage` and `metastore`.

One module per noun of the specification; each endpoint is a function from a request to a response
and knows neither who asks nor how the answer is written down: `service` authenticates, decides,
routes, turns errors into answers and records the event, once for all of them.
"""
