"""The HTTP connection under the application: bytes between socket and file without a Python loop.

Knows no registry, no digest and no path. An application that uses it stays plain ASGI: under any
other server `receive_body` and `send_file` do the same through ordinary messages, slower.

    protocol.py      what uvicorn is given; falls back to its own class under an untested version
    connection.py    one client: phases, deadlines, endings       listener.py  what clients share
    head.py          request line and fields (httptools)          framing.py   where the body ends
    exchange.py      one request: the ASGI calls                  limits.py, errors.py
    request_body.py  receive, and receive_into a sink             receiving.py its part in a thread
    answer.py        send, and zero-copy send of files            sending.py   its part in a thread
    response.py      heads as bytes                               offload.py   threads and patience
    tls.py           TLS that a thread can borrow                 body.py, send.py  for applications

Shutdown: uvicorn stops listening, then calls `shutdown` on each connection. An idle one closes; one
with a request in flight answers it with `Connection: close`, and what is pipelined behind is
dropped; transfers in threads end by themselves. What outlasts uvicorn's graceful timeout is
cancelled, which cuts its socket and waits for its thread.
"""
