import { type Contract, isContract } from '@posthorn/contracts';
import { load } from './open.ts';
import { UsageError } from './usage.ts';

/**
 * The contracts that a module exports, or of `module#name` that one.
 *
 * @throws {UsageError} where there are none, or two of one name
 */
export async function contractsOf(place: string): Promise<readonly [Contract, ...Contract[]]> {
  const [, name = place, wanted] = /^(.+)#([^#/]*)$/.exec(place) ?? [];
  const module = await load(name);
  const exported = wanted === undefined ? Object.values(module) : [module[wanted]];
  const [first, ...others] = [...new Set(exported.filter(isContract))];
  if (first === undefined)
    throw new UsageError(`${name} exports no contract${wanted === undefined ? '' : ` named ${wanted}`}`);
  const names = [first, ...others].map((contract) => contract.name);
  const twice = names.find((one, index) => names.indexOf(one) !== index);
  if (twice !== undefined)
    throw new UsageError(`${name} exports two contracts named ${twice}: give them a name of their own`);
  return [first, ...others];
}
