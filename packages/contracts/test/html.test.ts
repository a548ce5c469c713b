import { expect } from 'chai';
import { z } from 'zod';
import { contractHtml, defineContract, snapshotOf } from '../src/index.ts';
import { Compute } from './support.ts';

describe('the page about contracts', () => {
  it('needs nothing but itself: no scripts, no other files', () => {
    const page = contractHtml([snapshotOf(Compute)]);
    expect(page).to.match(/^<!doctype html>/);
    expect(page).to.not.match(/<script|\bsrc=|<link|https?:|@import|url\(/);
  });

  it('has every method, event, member and error, and links to what is in it', () => {
    const page = contractHtml([snapshotOf(Compute)]);
    for (const word of ['create', 'fetch', 'count', 'note', 'instance.create.error', 'percent', 'QuotaExceeded'])
      expect(page).to.contain(word);
    const links = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id = '']) => id);
    expect(links).to.have.length.above(6);
    for (const id of links) expect(page).to.contain(` id="${id}"`);
  });

  it('shows what strangers wrote, and does not run it', () => {
    const evil = '<script>alert("x")</script>';
    const Evil = defineContract({
      topic: evil,
      version: '1.0',
      description: evil,
      methods: {
        [evil]: { params: z.object({ [evil]: z.literal(evil).describe(evil) }), errors: { [evil]: z.object({}) } },
      },
      events: { [evil]: { payload: z.string().default(evil), description: evil } },
    });
    const page = contractHtml([snapshotOf(Evil)]);
    expect(page).to.not.contain('<script');
    expect(page).to.contain('&lt;script&gt;alert(&quot;x&quot;)');
  });
});
