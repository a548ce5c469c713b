import { BadUsage } from './bad-usage.ts';

const MOST = 100_000;

/** `1,10,100`. @throws {BadUsage} */
export function numbers(option: string, text: string): readonly number[] {
  const list = text.split(',').map(Number);
  if (!list.every((many) => Number.isInteger(many) && many >= 1 && many <= MOST))
    throw new BadUsage(`${option} must be whole numbers from 1 to ${MOST}, separated by commas`);
  return list;
}
