import { type Activity, memory, Transport } from '@posthorn/core';
import { expect } from 'chai';
import { ActivityTable } from '../src/activity-table.ts';

describe('the table of activities', () => {
  let transport: Transport;
  const activity = (name: string, topic = 'compute'): Activity => ({
    ...{
      pattern: 'rpc',
      operation: 'call',
      name,
      transport,
      exchange: 'nova',
      topic,
      context: {},
      content: {},
      headers: {},
    },
  });

  before(async () => {
    transport = await Transport.open((context) => memory(context));
  });

  after(() => transport.close());

  it('counts what ended, by code what failed, and what is in flight', () => {
    const table = new ActivityTable(10);
    table.begin('send', activity('reboot')).end(1);
    table.begin('send', activity('reboot')).end(2, 'TIMEOUT');
    table.begin('send', activity('reboot')).end(2, 'TIMEOUT');
    table.begin('send', activity('reboot'));
    const [row, ...more] = table.take();
    expect(more).to.deep.equal([]);
    expect(row).to.deep.include({ direction: 'send', exchange: 'nova', topic: 'compute', name: 'reboot' });
    expect(row).to.deep.include({ count: 3, errors: { TIMEOUT: 2 }, inFlight: 1 });
    expect(row?.latency.reduce((sum, [, count]) => sum + count, 0)).to.equal(3);
  });

  it('tells only of places where something happened since, or goes on', () => {
    const table = new ActivityTable(10);
    table.begin('send', activity('reboot')).end(1);
    const long = table.begin('process', activity('build'));
    expect(table.take().map(({ name }) => name)).to.deep.equal(['reboot', 'build']);
    expect(table.take()).to.have.length(1);
    long.end(5);
    expect(table.take()[0]).to.deep.include({ name: 'build', count: 1, inFlight: 0 });
    expect(table.take()).to.deep.equal([]);
  });

  it('counts in one row each way what it has no room for', () => {
    const table = new ActivityTable(3);
    for (let index = 0; index < 1_000; index++) table.begin('process', activity(`stranger-${index}`)).end(1);
    table.begin('send', activity('reboot')).end(1, 'REMOTE');
    const rows = table.take();
    expect(rows).to.have.length(5);
    const rest = rows.filter(({ pattern }) => pattern === 'other');
    expect(rest.map(({ direction, count, errors }) => ({ direction, count, errors }))).to.deep.equal([
      { direction: 'send', count: 1, errors: { REMOTE: 1 } },
      { direction: 'process', count: 997, errors: {} },
    ]);
  });

  it('makes room when a row was idle for 300 reports', () => {
    const table = new ActivityTable(1);
    table.begin('send', activity('old')).end(1);
    for (let report = 0; report < 302; report++) table.take();
    table.begin('send', activity('new')).end(1);
    expect(table.take().map(({ name }) => name)).to.deep.equal(['new']);
  });

  it('keeps a row in which something is in flight, however long', () => {
    const table = new ActivityTable(1);
    const row = table.begin('send', activity('slow'));
    for (let report = 0; report < 400; report++) table.take();
    row.end(1);
    expect(table.take()[0]).to.deep.include({ name: 'slow', count: 1, inFlight: 0 });
  });

  it('bounds the codes of a row, and the names that strangers choose', () => {
    const table = new ActivityTable(10);
    for (let index = 0; index < 100; index++)
      table.begin('process', activity('x'.repeat(5_000), 'y'.repeat(5_000))).end(1, `E${index}`);
    const [row] = table.take();
    expect(Object.keys(row?.errors ?? {})).to.have.length(17);
    expect(row?.errors['other']).to.equal(84);
    expect(row?.name).to.have.length(200);
    expect(row?.topic).to.have.length(200);
  });
});
