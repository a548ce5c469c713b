import { expect } from 'chai';
import sinon from 'sinon';
import { Silence } from '../src/silence.ts';

describe('silence', () => {
  let clock: sinon.SinonFakeTimers;
  let told: number;
  let silence: Silence;

  beforeEach(() => {
    clock = sinon.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    told = 0;
    silence = new Silence(800, () => told++);
  });

  afterEach(() => clock.restore());

  it('counts from when it begins, and is told once its time is over', () => {
    clock.tick(1_000);
    silence.begin();
    clock.tick(799);
    expect(told).to.equal(0);
    clock.tick(1);
    expect(told).to.equal(1);
  });

  it('begins anew with what is heard', () => {
    silence.begin();
    clock.tick(750);
    silence.heard();
    clock.tick(799);
    expect(told).to.equal(0);
    clock.tick(1);
    expect(told).to.equal(1);
  });

  it('is not told after its end', () => {
    silence.begin();
    silence.end();
    clock.tick(10_000);
    expect(told).to.equal(0);
  });
});
