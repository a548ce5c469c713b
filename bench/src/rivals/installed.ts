import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** Apart from the workspace, of which they are no part. */
const PACKAGES = {
  '@nestjs/common': '12.5.1',
  '@nestjs/core': '12.5.1',
  '@nestjs/microservices': '12.1.1',
  'amqp-connection-manager': '5.0.0',
  amqplib: '2.3.1',
  moleculer: '0.15.2',
  'rabbitmq-client': '5.0.8',
  'reflect-metadata': '0.2.2',
  rxjs: '7.8.2',
};

const FOLDER = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'posthorn', 'bench-rivals');
const STAMP = join(FOLDER, 'installed.json');

/** Installs the rivals with npm where that has not been done. */
export async function installRivals(): Promise<void> {
  const wanted = JSON.stringify(PACKAGES);
  if (existsSync(STAMP) && createRequire(STAMP)(STAMP).packages === wanted) return;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
  // NestJS names older peers than it works with.
  const args = ['install', '--legacy-peer-deps', '--no-audit', '--no-fund', '--no-package-lock'];
  await promisify(execFile)('npm', args, { cwd: FOLDER, shell: process.platform === 'win32' });
  writeFileSync(STAMP, JSON.stringify({ packages: wanted }));
}

/** A package of the rivals, by what the caller uses of it. */
export async function rival<Used>(name: keyof typeof PACKAGES): Promise<Used> {
  const path = createRequire(join(FOLDER, 'package.json')).resolve(name);
  return (await import(pathToFileURL(path).href)) as Used;
}

export function versionOf(name: keyof typeof PACKAGES): string {
  return PACKAGES[name];
}
