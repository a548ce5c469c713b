"""A notifier for interoperability tests.

    notify.py URL [--exchange X] [--option GROUP.NAME=VALUE ...]

Prints {"event": "ready"}, then reads one request a line:

    {"id": 1, "topics": [T], "driver": "messaging" | "messagingv2", "publisher_id": P, "priority": "info",
     "ctxt": {}, "event_type": E, "payload": any}

and prints {"id": 1, "ok": null} once the broker has it, or {"id": 1, "error": text}. Reads {"do": "stop"}.
"""

import os

import oslo_messaging
from oslo_context import context

from peers.lines import hear, say
from peers.transport import open_notification_transport, parser


def context_of(values, url):
    """From 14.7 on a plain dict is left out of notifications: a RequestContext is redacted instead.

    The amqp driver, which there is no more by then, cannot write a RequestContext: the notification would be lost.
    """
    if not values or url.startswith('amqp:'):
        return values or {}
    return context.RequestContext.from_dict(values)


def notify(transport, request, url):
    notifier = oslo_messaging.Notifier(
        transport, publisher_id=request.get('publisher_id'), driver=request.get('driver', 'messagingv2'),
        topics=request['topics'], retry=0)
    tell = getattr(notifier, request.get('priority', 'info'))
    tell(context_of(request.get('ctxt'), url), request['event_type'], request.get('payload', {}))


def main():
    args = parser(__doc__.splitlines()[0]).parse_args()
    transport = open_notification_transport(args)
    say(event='ready')
    for request in hear():
        if request.get('do') == 'stop':
            break
        try:
            notify(transport, request, args.url)
        except Exception as error:  # whatever it is, the test wants to know
            say(id=request['id'], error=repr(error))
        else:
            say(id=request['id'], ok=None)
    os._exit(0)


if __name__ == '__main__':
    main()
