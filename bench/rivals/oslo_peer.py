"""A peer of the bench in oslo.messaging: oslo_peer.py server|caller URL TOPIC. Reads tasks and writes answers, a line each."""

import json
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg
from oslo_messaging.conffixture import ConfFixture

METHOD = 'reboot'
ARGS = {'instance': 'i-0f3a9c51', 'hard': False, 'reason': 'nightly maintenance', 'tries': 3}
# More threads only get in each other's way.
MOST_THREADS = 30


class Compute:
    def reboot(self, ctxt, instance, hard, reason, tries):
        return {'instance': instance, 'state': 'rebooting'}


def run(client, in_flight, ms, calls):
    """A closed loop: each thread makes its next call when it has the answer to its last one."""
    took = []
    failures = []
    begun = time.perf_counter()
    end = begun + ms / 1000 if ms else float('inf')
    left = threading.Semaphore(calls) if calls else None

    def caller():
        while time.perf_counter() < end and (left is None or left.acquire(blocking=False)):
            start = time.perf_counter()
            try:
                client.call({}, METHOD, **ARGS)
            except Exception as error:
                failures.append(error)
                return
            took.append(time.perf_counter() - start)

    threads = [threading.Thread(target=caller) for _ in range(min(in_flight, MOST_THREADS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begun
    if failures:
        raise failures[0]
    took.sort()

    def percentile(part):
        return took[min(len(took) - 1, int(len(took) * part))] * 1000 if took else 0

    return {'calls': len(took), 'elapsedMs': elapsed * 1000, 'p50Ms': percentile(0.5), 'p99Ms': percentile(0.99)}


def main(role, url, topic):
    conf = cfg.CONF  # the global one: parts of oslo.messaging read no other
    conf([], project='bench', default_config_files=[], default_config_dirs=[])
    ConfFixture(conf, transport_url=url)
    transport = oslo_messaging.get_rpc_transport(conf, url=url)
    server = client = None
    if role == 'server':
        target = oslo_messaging.Target(topic=topic, server='bench')
        server = oslo_messaging.get_rpc_server(transport, target, [Compute()], executor='threading')
        server.start()
    else:
        make = getattr(oslo_messaging, 'get_rpc_client', oslo_messaging.RPCClient)
        client = make(transport, oslo_messaging.Target(topic=topic), timeout=60)
    for line in sys.stdin:
        task = json.loads(line)
        answer = {}
        if task['task'] == 'run':
            answer = run(client, task['inFlight'], task['ms'], task['calls'])
        print(json.dumps(answer), flush=True)
    if server:
        server.stop()
        server.wait()
    transport.cleanup()


main(*sys.argv[1:])
