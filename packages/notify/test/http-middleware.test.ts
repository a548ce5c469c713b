import { once } from 'node:events';
import { createServer, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '@posthorn/core';
import { expect } from 'chai';
import {
  type HttpNotificationOptions,
  httpNotifications,
  type Notification,
  Notifier,
  type Outlet,
} from '../src/index.ts';
import { open } from './support.ts';

describe('the middleware for node:http', () => {
  let server: Server | undefined;
  let told: Notification[];
  let waiting: (() => void)[];

  beforeEach(() => {
    told = [];
    waiting = [];
  });

  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    if (server?.listening) await once(server, 'close');
  });

  const outlet: Outlet = {
    name: 'watched',
    async notify(notification) {
      told.push(notification);
      for (const go of waiting.splice(0)) go();
    },
  };

  /** Resolves when that many were told. */
  const count = async (many: number): Promise<void> => {
    while (told.length < many) await new Promise<void>((resolve) => waiting.push(resolve));
  };

  const serve = async (
    respond: RequestListener,
    options: HttpNotificationOptions = {},
    through: Outlet = outlet,
  ): Promise<string> => {
    const notifier = new Notifier(await open(), { publisherId: 'api.host1', outlets: [through] });
    const tell = httpNotifications(notifier, options);
    server = createServer((incoming, response) => tell(incoming, response, () => respond(incoming, response)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('tells of a request and its response, with one id', async () => {
    const url = await serve((_, response) => void response.setHeader('x-made', 'here').writeHead(201).end('body'), {
      context: () => ({ user_id: 'alice' }),
    });
    await (
      await fetch(`${url}/servers/1?page=2#x`, { method: 'POST', body: 'x', headers: { 'x-given': 'there' } })
    ).text();
    await count(2);
    const [asked, answered] = told;
    expect(told.map(({ eventType, priority, publisherId }) => [eventType, priority, publisherId])).to.deep.equal([
      ['http.request', 'info', 'api.host1'],
      ['http.response', 'info', 'api.host1'],
    ]);
    expect(asked?.context).to.deep.equal({ user_id: 'alice' });
    expect(asked?.payload).to.deep.include({ method: 'POST', path: '/servers/1' });
    expect(asked?.payload).to.have.nested.property('headers.x-given', 'there');
    expect(answered?.payload).to.deep.include({ method: 'POST', path: '/servers/1', status: 201, complete: true });
    expect(answered?.payload).to.have.nested.property('headers.x-made', 'here');
    expect(answered?.payload).to.have.property('ms').that.is.at.least(0);
    const [asking, answering] = told.map(({ payload }) => (payload as { readonly id: string }).id);
    expect(asking)
      .to.match(/^[0-9a-f]{32}$/)
      .and.equal(answering);
  });

  it('leaves out what carries credentials', async () => {
    const secret = 'hunter2';
    const url = await serve((_, response) => {
      response.setHeader('set-cookie', [`sid=${secret}`, 'b=c']);
      response.setHeader('x-subject-token', secret);
      response.setHeader('location', `https://x/y?code=${secret}`);
      response.end();
    });
    await fetch(`${url}/p?token=${secret}`, {
      headers: {
        authorization: `Bearer ${secret}`,
        cookie: `sid=${secret}`,
        'x-auth-token': secret,
        'x-api-key': secret,
        'proxy-authorization': `Basic ${secret}`,
        referer: `https://x/?token=${secret}`,
        'x-note': `password=${secret}`,
      },
    });
    await count(2);
    expect(JSON.stringify(told)).not.to.include(secret);
    expect(told[1]?.payload).to.have.nested.property('headers.location', 'https://x/y');
  });

  it('does not tell of the methods that are to be ignored', async () => {
    const url = await serve((_, response) => void response.end(), { ignoreMethods: ['get', 'HEAD'] });
    await (await fetch(url)).text();
    await fetch(url, { method: 'HEAD' });
    await fetch(url, { method: 'DELETE' });
    await count(2);
    expect(told.map(({ payload }) => (payload as { method: string }).method)).to.deep.equal(['DELETE', 'DELETE']);
  });

  it('tells of a request whose client has gone that it is not complete', async () => {
    const url = await serve((_, response) => void response.writeHead(200).write('half'));
    const client = request(url);
    client.on('error', () => undefined);
    client.end();
    const [response] = await once(client, 'response');
    response.on('error', () => undefined);
    client.destroy();
    await count(2);
    expect(told[1]?.payload).to.deep.include({ status: 200, complete: false });
  });

  it('breaks no request: neither when it cannot notify nor when the context fails', async () => {
    const warnings: string[] = [];
    const ignore = (): void => undefined;
    const logger: Logger = {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (_, message) => {
        warnings.push(message ?? '');
        for (const go of waiting.splice(0)) go();
      },
    };
    const broken: Outlet = { name: 'broken', notify: () => Promise.reject(new Error('no broker')) };
    const context = (): never => {
      throw new Error('no context');
    };
    for (const [options, through] of [
      [{ logger }, broken],
      [{ logger, context }, outlet],
    ] as const) {
      warnings.length = 0;
      const url = await serve((_, response) => void response.end('fine'), options, through);
      expect(await (await fetch(url)).text()).to.equal('fine');
      while (warnings.length < 2) await new Promise<void>((resolve) => waiting.push(resolve));
      expect(warnings).to.deep.equal(['could not notify', 'could not notify']);
      server?.closeAllConnections();
      server?.close();
    }
  });

  it('works without a next', async () => {
    const notifier = new Notifier(await open(), { publisherId: 'p', outlets: [outlet] });
    const tell = httpNotifications(notifier);
    server = createServer((incoming, response) => {
      tell(incoming, response);
      response.end('plain');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    expect(await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text()).to.equal('plain');
    await count(2);
  });
});
