import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

/** The arrows: which of our packages a package may import. A package that is not listed fails below. */
const arrows: Readonly<Record<string, readonly string[] | 'any'>> = {
  core: [],
  rpc: ['core'],
  notify: ['core'],
  messaging: ['core'],
  services: ['core'],
  rabbit: ['core'],
  amqp1: ['core'],
  conformance: ['core', 'rpc', 'notify'],
  oslo: ['core', 'rpc', 'notify'],
  contracts: ['core', 'rpc', 'notify', 'messaging'],
  telemetry: ['core'],
  testing: ['core'],
  posthorn: 'any',
};

/** The requirements that an arrow stands for. */
const rows: Readonly<Record<string, string>> = { rpc: 'R-04: ', messaging: 'G-02, G-04: ' };

/** A wrapped library and the one file that may import it. */
const wrapped: Readonly<Record<string, string>> = {
  amqplib: 'rabbit/src/amqplib.ts',
  rhea: 'amqp1/src/rhea.ts',
  '@opentelemetry/api': 'telemetry/src/opentelemetry.ts',
};

const home = fileURLToPath(new URL('../../packages/', import.meta.url));
const packages = folders().map(readPackage);
const ours = new Map(packages.map((one) => [one.name, one]));

describe('the architecture', () => {
  it('finds the packages on disk', () => {
    expect(packages.map((one) => one.folder)).to.include.members(['core', 'posthorn']);
    expect(packages.flatMap((one) => one.files)).to.not.be.empty;
  });

  it('has arrows for every package', () => {
    expect(packages.map((one) => one.folder).filter((folder) => !(folder in arrows))).to.deep.equal([]);
  });

  it('R-03: a driver exports at most eight functions and classes', async () => {
    for (const { name, folder } of packages) {
      if (folder !== 'rabbit' && folder !== 'amqp1') continue;
      const exported = Object.keys(await import(name));
      expect(exported, name).to.have.length.within(1, 8);
    }
  });

  it('R-15: every driver is proven by the conformance suite', () => {
    const drivers = packages.filter(({ files }) => files.some(({ text }) => /\bimplements Driver\b/.test(text)));
    expect(drivers.map(({ folder }) => folder)).to.include.members(['core', 'rabbit']);
    const proofs: Readonly<Record<string, string>> = { core: '../../packages/conformance/test/memory.test.ts' };
    for (const { folder } of drivers) {
      const proof = new URL(proofs[folder] ?? `./${folder}-conformance.test.ts`, import.meta.url);
      expect(readFileSync(proof, 'utf8'), folder).to.contain('describeDriver(');
    }
  });

  it('R-12: the seam speaks of addresses and deliveries, and of no API of a broker', () => {
    const seam = ['driver.ts', 'address.ts', 'message.ts'].map((file) =>
      readFileSync(join(home, 'core/src', file), 'utf8'),
    );
    const code = seam.join('\n').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    expect(code)
      .to.match(/Address/)
      .and.to.match(/Delivery/);
    expect(code).to.not.match(
      /channel|routingKey|binding|exchangeType|consumerTag|deliveryTag|\bsender\b|\breceiver\b|amqp|rhea/i,
    );
  });

  it('M-16: rpc and notify speak of targets, and of nothing that a queue is made of', () => {
    const files = packages.flatMap(({ folder, files }) => (folder === 'rpc' || folder === 'notify' ? files : []));
    expect(files).to.not.be.empty;
    expect(matches(files, /\b(queue|binding|bind|routingKey|exchangeType|durable|autoDelete)\b/i)).to.deep.equal([]);
  });

  for (const one of packages) {
    const allowed = arrows[one.folder] ?? [];
    const names = allowed.length === 0 ? 'none of our packages' : `only ${[...allowed].join(', ')} of our packages`;

    describe(one.name, () => {
      if (allowed !== 'any') {
        it(`${rows[one.folder] ?? ''}imports ${names}`, () => {
          const wrong = one.imports.filter(({ module }) => {
            const other = ours.get(packageOf(module));
            return other && other !== one && !allowed.includes(other.folder);
          });
          expect(wrong.map(show)).to.deep.equal([]);
        });

        it(`depends in its package.json on ${names}`, () => {
          const folders = one.dependencies.flatMap((name) => ours.get(name)?.folder ?? []);
          expect(folders.filter((folder) => !allowed.includes(folder))).to.deep.equal([]);
        });
      }

      it('declares every package it imports', () => {
        const wrong = one.imports.filter(({ module }) => {
          const name = packageOf(module);
          return !isRelative(module) && !isBuiltin(module) && name !== one.name && !one.dependencies.includes(name);
        });
        expect(wrong.map(show)).to.deep.equal([]);
      });

      it('imports other packages only by their declared exports', () => {
        const wrong = one.imports.filter(({ module }) => {
          const other = ours.get(packageOf(module));
          return other && !other.exports.includes(`.${module.slice(other.name.length)}`);
        });
        expect(wrong.map(show)).to.deep.equal([]);
      });

      it('imports relative files only from its own src', () => {
        const src = join(home, one.folder, 'src') + sep;
        const wrong = one.imports.filter(
          ({ file, module }) => isRelative(module) && !resolve(home, dirname(file), module).startsWith(src),
        );
        expect(wrong.map(show)).to.deep.equal([]);
      });

      it('never uses the type any', () => {
        const type = /(?::|\bas|\bsatisfies|=>|[<,|&=])\s*any\b(?!\s*[.(:])|\bany\[\]/;
        expect(matches(one.files, type)).to.deep.equal([]);
      });

      it('never asserts that a value is not null', () => {
        expect(matches(one.files, /[\w$)\]]!(?!=)/)).to.deep.equal([]);
      });

      it('imports no EventEmitter', () => {
        const wrong = one.imports.filter(
          ({ file, module, names }) =>
            /^(node:)?events$/.test(module) &&
            !/^\s*(type\s*)?\{(?![^}]*\bEventEmitter\b)/.test(names) &&
            file !== 'rabbit/src/amqplib.ts',
        );
        expect(wrong.map(show)).to.deep.equal([]);
      });
    });
  }

  for (const [library, only] of Object.entries(wrapped)) {
    it(`imports ${library} only in ${only}`, () => {
      const found = packages.flatMap((one) => one.imports).filter(({ module }) => packageOf(module) === library);
      expect(found.filter(({ file }) => file !== only).map(show)).to.deep.equal([]);
    });
  }

  for (const library of ['yaml', 'pino']) {
    it(`keeps ${library} out of core`, () => {
      const core = packages.find((one) => one.folder === 'core');
      expect(core?.imports.filter(({ module }) => packageOf(module) === library).map(show)).to.deep.equal([]);
    });
  }
});

describe('the reading of imports', () => {
  const read = (text: string) => importsOf('x.ts', text).map(({ module }) => module);

  it('sees imports of values, types and side effects', () => {
    expect(read("import a, { b } from 'a';\nimport type { C } from 'c';\nimport 'd';")).to.have.members([
      'a',
      'c',
      'd',
    ]);
  });

  it('sees imports over several lines', () => {
    expect(read("import {\n  a,\n  type B,\n} from 'a';")).to.deep.equal(['a']);
  });

  it('sees re-exports', () => {
    expect(read("export * from 'a';\nexport { b } from 'b';\nexport type { C } from 'c';")).to.deep.equal([
      'a',
      'b',
      'c',
    ]);
  });

  it('sees dynamic imports, import types and require', () => {
    const text = "await import('a');\nlet b: import('b').B;\nrequire('c');";
    expect(read(text)).to.deep.equal(['a', 'b', 'c']);
  });

  it('passes over comments', () => {
    expect(read("// import 'a';\n/* import 'b';\nimport 'c'; */")).to.deep.equal([]);
  });
});

interface Import {
  readonly file: string;
  readonly module: string;
  readonly names: string;
}

interface File {
  readonly path: string;
  readonly text: string;
}

interface Package {
  readonly folder: string;
  readonly name: string;
  readonly dependencies: readonly string[];
  readonly exports: readonly string[];
  readonly files: readonly File[];
  readonly imports: readonly Import[];
}

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

function folders(): string[] {
  return readdirSync(home)
    .filter((name) => existsSync(join(home, name, 'package.json')))
    .sort();
}

function readPackage(folder: string): Package {
  const manifest: Manifest = JSON.parse(readFileSync(join(home, folder, 'package.json'), 'utf8'));
  const files = sources(folder);
  return {
    folder,
    name: manifest.name,
    dependencies: Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
    exports: Object.keys(manifest.exports ?? {}),
    files,
    imports: files.flatMap(({ path, text }) => importsOf(path, text)),
  };
}

function sources(folder: string): File[] {
  if (!existsSync(join(home, folder, 'src'))) return [];
  return readdirSync(join(home, folder, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const path = [folder, 'src', ...name.split(sep)].join('/');
      return { path, text: readFileSync(join(home, path), 'utf8') };
    });
}

function importsOf(file: string, text: string): Import[] {
  const code = strip(text, false);
  const patterns = [
    /^\s*(?:import|export)\b([^;'"]*?)\bfrom\s*(['"])([^'"]+)\2/gm,
    /^\s*import()\s*(['"])([^'"]+)\2/gm,
    /\b(?:import|require)()\s*\(\s*(['"`])([^'"`]+)\2/g,
  ];
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([, names = '', , module = '']) => ({ file, module, names })),
  );
}

/** Blanks comments and, on request, what is inside strings; lines keep their numbers. */
function strip(text: string, strings: boolean): string {
  const token = /\/\/.*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;
  return text.replace(token, (found) => {
    if (!found.startsWith('/') && !strings) return found;
    const inside = found.replace(/[^\n]/g, ' ');
    return found.startsWith('/') ? inside : `''${inside.slice(2)}`;
  });
}

function matches(files: readonly File[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    strip(text, true)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
  );
}

function packageOf(module: string): string {
  return module
    .split('/')
    .slice(0, module.startsWith('@') ? 2 : 1)
    .join('/');
}

function isRelative(module: string): boolean {
  return module.startsWith('.') || module.startsWith('/');
}

function show({ file, module }: Import): string {
  return `${file} imports ${module}`;
}
