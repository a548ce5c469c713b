"""An RPC client for interoperability tests.

    client.py URL [--exchange X] [--option GROUP.NAME=VALUE ...] [--allow-module M ...]

Prints {"event": "ready"}, then reads one request a line and executes each in a thread of its own:

    {"id": 1, "do": "call" | "cast" | "fanout", "topic": T, "method": M, "args": {}, "ctxt": {},
     "exchange": X, "server": S, "namespace": N, "version": V,
     "timeout": seconds, "monitor": seconds, "retry": attempts, "at_least_once": true}

and prints {"id": 1, "ok": result} or {"id": 1, "error": {"class", "module", "message", "args", "kwargs", "traceback",
and of a RemoteError "exc_type"}}. Reads {"do": "stop"}.
"""

import os
import threading
import traceback

import oslo_messaging

from peers.lines import hear, say
from peers.transport import open_transport, parser

# Keys of a request that RPCClient.prepare takes, by its own name for them.
PREPARE = {
    'exchange': 'exchange', 'server': 'server', 'namespace': 'namespace', 'version': 'version',
    'timeout': 'timeout', 'monitor': 'call_monitor_timeout', 'retry': 'retry',
}


def new_client(transport, target):
    """get_rpc_client is the one way from oslo.messaging 14.1 on, and missing before."""
    make = getattr(oslo_messaging, 'get_rpc_client', None) or oslo_messaging.RPCClient
    return make(transport, target)


def prepare(client, request):
    options = {ours: request[key] for key, ours in PREPARE.items() if key in request}
    if request['do'] == 'fanout':
        options['fanout'] = True
    if request.get('at_least_once'):
        options['transport_options'] = oslo_messaging.TransportOptions(at_least_once=True)
    return client.prepare(**options)


def failure(error):
    told = {
        'class': type(error).__name__,
        'module': type(error).__module__,
        'message': str(error),
        'args': list(error.args),
        'kwargs': getattr(error, 'kwargs', {}),
        'traceback': ''.join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    if isinstance(error, oslo_messaging.RemoteError):
        told['exc_type'] = error.exc_type
        told['traceback'] = ''.join(error.traceback or [])
    return told


def execute(transport, request):
    try:
        client = prepare(new_client(transport, oslo_messaging.Target(topic=request['topic'])), request)
        invoke = client.call if request['do'] == 'call' else client.cast
        result = invoke(request.get('ctxt', {}), request['method'], **request.get('args', {}))
    except BaseException as error:  # whatever it is, the test wants to know
        say(id=request['id'], error=failure(error))
    else:
        say(id=request['id'], ok=result)


def main():
    args = parser(__doc__.splitlines()[0]).parse_args()
    transport = open_transport(args)
    say(event='ready')
    for request in hear():
        if request['do'] == 'stop':
            break
        threading.Thread(target=execute, args=(transport, request), daemon=True).start()
    # Not transport.cleanup(): with a broker that is gone it may wait for ever.
    os._exit(0)


if __name__ == '__main__':
    main()
