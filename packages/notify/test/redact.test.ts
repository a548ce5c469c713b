import { expect } from 'chai';
import { allowedContext, masked, SAFE_CONTEXT_KEYS } from '../src/redact.ts';

describe('masking', () => {
  it('masks the values of entries that sound like secrets, at any depth', () => {
    const secrets = ['password', 'adminPass', 'user_passwd', 'pwd', 'auth_token', 'X-Auth-Token', 'client_secret'];
    const keys = ['api_key', 'apiKey', 'private-key', 'ACCESS_KEY', 'key', 'authorization', 'credentials', 'cookie'];
    for (const name of [...secrets, ...keys])
      expect(masked({ list: [{ [name]: 'hunter2' }] }), name).to.deep.equal({ list: [{ [name]: '***' }] });
  });

  it('masks secrets that are objects or numbers as a whole', () => {
    expect(masked({ credentials: { user: 'u' }, token: 7 })).to.deep.equal({ credentials: '***', token: '***' });
  });

  it('leaves what only looks like one', () => {
    const plain = {
      passed: 1,
      passenger: 'p',
      key_name: 'k',
      public_key: 'pk',
      keys: [1],
      author: 'a',
      tokens_used: 3,
    };
    const { tokens_used: _, ...rest } = plain;
    expect(masked(rest)).to.deep.equal(rest);
  });

  it('masks passwords of URLs and assignments inside of texts', () => {
    for (const [text, safe] of [
      ['to rabbit://guest:hunter2@host:5672/vhost', 'to rabbit://guest:***@host:5672/vhost'],
      ['rabbit://u:hunter2@a,v:hunter3@b/', 'rabbit://u:***@b/'],
      ['retry with password=hunter2, user=alice', 'retry with password=***, user=alice'],
      ['{"adminPass": "hunter2", "name": "vm"}', '{"adminPass": ***, "name": "vm"}'],
      ['{\\"token\\": \\"hunter2\\"}', '{\\"token\\": ***}'],
      ['Authorization: Bearer hunter2.hunter3 sent', 'Authorization: *** sent'],
      ['GET /x?token=hunter2&page=3', 'GET /x?token=***&page=3'],
      ['the passengers are at https://host:80/a@b', 'the passengers are at https://host:80/a@b'],
    ])
      expect(masked(text), text).to.equal(safe);
  });

  it('looks into what has a form of its own in JSON, and leaves times and bytes', () => {
    const own = { toJSON: () => ({ password: 'hunter2' }) };
    const when = new Date();
    const bytes = Buffer.from('x');
    expect(masked({ own, when, bytes })).to.deep.equal({ own: { password: '***' }, when, bytes });
  });

  it('survives circles, and shows what stands twice side by side', () => {
    const circle: Record<string, unknown> = { name: 'c' };
    circle['self'] = circle;
    const shared = { n: 1 };
    expect(masked(circle)).to.deep.equal({ name: 'c', self: '[circular]' });
    expect(masked([shared, shared])).to.deep.equal([{ n: 1 }, { n: 1 }]);
  });

  it('leaves the original as it was', () => {
    const original = { password: 'hunter2', deep: { token: 't' } };
    masked(original);
    expect(original).to.deep.equal({ password: 'hunter2', deep: { token: 't' } });
  });
});

describe('the context that leaves the process', () => {
  it('has the allowed entries alone', () => {
    const context = { user_id: 'u', request_id: 'r', auth_token: 'hunter2', service_catalog: [], custom: 1 };
    expect(allowedContext(context, SAFE_CONTEXT_KEYS)).to.deep.equal({ user_id: 'u', request_id: 'r' });
    expect(allowedContext(context, ['custom'])).to.deep.equal({ custom: 1 });
  });

  it('has no secrets inside of these either', () => {
    const context = { user: { name: 'u', password: 'hunter2' } };
    expect(allowedContext(context, SAFE_CONTEXT_KEYS)).to.deep.equal({ user: { name: 'u', password: '***' } });
  });
});
