"""A conductor for interoperability tests: a service in the middle, which passes on the context that it is given.

    conductor.py URL [--exchange X] [--option GROUP.NAME=VALUE ...]

Serves `build_instances` on the topic conductor: calls `select_destinations` on the topic scheduler, tells of
`conductor.scheduled` on the topic notifications, and casts `build_and_run_instance` to the host on the topic compute.
Prints {"event": "ready"} when it serves. SIGTERM ends it at once.
"""

import os
import threading

import oslo_messaging

from peers.lines import hear, say
from peers.serving import serve
from peers.transport import open_transport, parser

_request = threading.local()


class Traced(oslo_messaging.NoOpSerializer):
    """Notifiers leave out of contexts what they do not know. What a serializer adds they send, as osprofiler's does."""

    def serialize_context(self, context):
        return {**context, 'traceparent': _request.traceparent}


class Conductor:
    def __init__(self, transport):
        make = getattr(oslo_messaging, 'get_rpc_client', None) or oslo_messaging.RPCClient
        self.scheduler = make(transport, oslo_messaging.Target(topic='scheduler'))
        self.compute = make(transport, oslo_messaging.Target(topic='compute'))
        self.notifier = oslo_messaging.Notifier(
            transport, publisher_id='conductor.python', driver='messagingv2', topics=['notifications'], retry=0,
            serializer=Traced())

    def build_instances(self, ctxt, instance):
        _request.traceparent = ctxt.get('traceparent')
        host = self.scheduler.call(ctxt, 'select_destinations', instance=instance)
        self.notifier.info(ctxt, 'conductor.scheduled', {'host': host})
        self.compute.prepare(server=host).cast(ctxt, 'build_and_run_instance', instance=instance)
        return host


def main():
    args = parser(__doc__.splitlines()[0]).parse_args()
    transport = open_transport(args)
    target = oslo_messaging.Target(topic='conductor', server='python')
    server = oslo_messaging.get_rpc_server(
        transport, target, [Conductor(transport)], executor='threading',
        access_policy=oslo_messaging.DefaultRPCAccessPolicy)
    serve(transport, server)
    say(event='ready')
    for _ in hear():
        pass
    # Threads of the driver may wait for a broker that is gone; nothing of theirs is worth waiting for.
    os._exit(0)


if __name__ == '__main__':
    main()
