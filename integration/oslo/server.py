"""An RPC server for interoperability tests.

    server.py URL TOPIC SERVER [--exchange X] [--option GROUP.NAME=VALUE ...] [--allow-module M ...] [--ping]

Prints {"event": "ready"} when it serves, {"event": "note", ...} whenever `note` is called, {"event": "slow", ...} when
`slow` begins, {"event": "stopped"} at the end. Reads {"do": "stop"}, which lets running calls finish. SIGTERM ends it at once.
"""

import builtins
import itertools
import os
import time

import oslo_messaging

from peers.errors import PeerError
from peers.lines import hear, say
from peers.serving import serve
from peers.transport import open_transport, parser

FALSY = {'none': None, 'zero': 0, 'false': False, 'text': '', 'list': [], 'dict': {}}


class Plain:
    """No namespace, version 1.0."""

    def __init__(self, server):
        self.server = server
        self.counter = itertools.count(1)

    def echo(self, ctxt, **kw):
        return {'ctxt': ctxt, 'kw': kw, 'server': self.server}

    def add(self, ctxt, a, b):
        return a + b

    def boom(self, ctxt, kind='ValueError', text='', **kw):
        """Raises PeerError, with the other arguments, or a builtin exception of that name."""
        raise PeerError(text, **kw) if kind == 'PeerError' else getattr(builtins, kind)(text)

    @oslo_messaging.expected_exceptions(PeerError)
    def expected(self, ctxt, text=''):
        raise PeerError(text)

    def slow(self, ctxt, seconds):
        say(event='slow', server=self.server, seconds=seconds)
        time.sleep(seconds)
        return seconds

    def nothing(self, ctxt):
        pass

    def falsy(self, ctxt, which):
        """which: one of the keys of FALSY."""
        return FALSY[which]

    def numbers(self, ctxt):
        return [float('nan'), float('inf'), float('-inf'), 2**53 + 1, -(2**63), 2**70]

    def unicode(self, ctxt, text):
        return text

    def count(self, ctxt):
        """How often this server was asked, this time included."""
        return next(self.counter)

    def note(self, ctxt, **kw):
        say(event='note', server=self.server, kw=kw, ctxt=ctxt)


class Spaced:
    """Namespace peer.ns, once called peer.old, version 1.3."""

    target = oslo_messaging.Target(namespace='peer.ns', version='1.3', legacy_namespaces=['peer.old'])

    def __init__(self, server):
        self.server = server

    def echo(self, ctxt, **kw):
        return {'ctxt': ctxt, 'kw': kw, 'server': self.server, 'namespace': 'peer.ns'}

    def note(self, ctxt, **kw):
        say(event='note', server=self.server, namespace='peer.ns', kw=kw, ctxt=ctxt)


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument('topic')
    arguments.add_argument('server')
    arguments.add_argument('--ping', action='store_true', help='answer oslo_rpc_server_ping')
    args = arguments.parse_args()
    transport = open_transport(args, rpc_ping_enabled=args.ping)
    target = oslo_messaging.Target(topic=args.topic, server=args.server)
    server = oslo_messaging.get_rpc_server(
        transport, target, [Plain(args.server), Spaced(args.server)], executor='threading',
        access_policy=oslo_messaging.DefaultRPCAccessPolicy)
    serve(transport, server)
    say(event='ready', server=args.server)
    for request in hear():
        if request['do'] == 'stop':
            server.stop()
            server.wait()
            transport.cleanup()
            say(event='stopped')
            break
    # Threads of the driver may wait for a broker that is gone; nothing of theirs is worth waiting for.
    os._exit(0)


if __name__ == '__main__':
    main()
