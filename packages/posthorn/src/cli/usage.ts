/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {}

export const usage = `usage:
  posthorn call   <url> <topic>[@server] <method> [json-args]   prints the result as JSON
  posthorn cast   <url> <topic>[@server] <method> [json-args]
  posthorn fanout <url> <topic> <method> [json-args]
  posthorn ping   <url> <topic>[@server] [--wait 30s]
  posthorn serve  <url> <topic> <server> <module>               until SIGINT or SIGTERM
  posthorn notify <url> <event-type> [json-payload]
  posthorn listen <url>                                         a line for each notification, until SIGINT or SIGTERM

url: rabbit://user:password@host/vhost, rabbits:// (TLS), memory://

options:
  --namespace <name>      the endpoint's namespace
  --target-version <v>    the version the method must offer, like 1.0
  --exchange <name>       default: posthorn, with --wire oslo openstack
  --timeout <duration>    like 500ms, 5s, 2m (default 60s)
  --context <json>        an object that travels with the request
  --wire <name>           native (default), or oslo for Python's oslo.messaging
  --driver <module>       a module that exports { scheme: factory }, for other URLs
  --topic <name>          notify, listen: default notifications; may be repeated
  --priority <p>          notify: default info; listen: default all, may be repeated
  --publisher-id <id>     notify: default posthorn.<host>
  --pool <name>           listen: share with other listeners of the pool
  --event-type <regex>    listen: only these
  --wait <duration>       ping: wait that long for a server to appear
  --help, --version
`;
