import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { DebianPackage } from '../../sfu/worker-binary/debian-packages.ts';

/** Its S3 API is faithful from this version on: 2.30 takes wrong checksums and refuses streams with trailing ones. */
const SUITE = 'trixie';
const PACKAGES = 'usr/lib/python3/dist-packages';
const STEP_LIMIT_MS = 120_000;

/** What Debian 12 has brings everything that the newer version needs besides itself. */
export const S3_SERVER_PACKAGES: readonly DebianPackage[] = [
  { name: 'python3-swift', files: ['/usr/lib/python3/dist-packages/swift/common'] },
  { name: 'libisal2', files: ['/{usr/,}lib/*/libisal.so.2*'] },
];

/** The folder that Python finds Swift 2.35 or later in; null where there is none. */
export function s3ServerPackages(): string | null {
  return [`/${PACKAGES}`, join(cacheFolder(), PACKAGES)].find(isRecent) ?? null;
}

/**
 * Fetches Swift of Debian 13 from the machine's own mirror and unpacks it into the cache; nothing is installed.
 * @returns what went wrong, or null
 */
export function fetchS3Server(): string | null {
  const mirror = mirrorOf('/etc/apt');
  if (mirror === null) return 'no Debian mirror in /etc/apt to fetch Swift 2.35 from';
  mkdirSync(dirname(cacheFolder()), { recursive: true });
  const folder = mkdtempSync(`${cacheFolder()}-`);
  try {
    const config = configureApt(folder, mirror);
    const steps: [string, ...string[]][] = [
      ['apt-get', 'update', '-q'],
      ['apt-get', 'download', '-q', 'python3-swift'],
    ];
    for (const step of steps) {
      const failure = run(step, folder, config);
      if (failure) return failure;
    }
    const [archive] = globSync('python3-swift_*.deb', { cwd: folder });
    const failure = run(['dpkg', '-x', archive!, 'unpacked'], folder, config);
    if (failure) return failure;
    rmSync(cacheFolder(), { recursive: true, force: true });
    renameSync(join(folder, 'unpacked'), cacheFolder());
    return s3ServerPackages() === null ? `the Swift of Debian's ${SUITE} is too old` : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function cacheFolder(): string {
  const { XDG_CACHE_HOME = '' } = process.env;
  return join(isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), '.cache'), 'faceblur', 's3-server');
}

function isRecent(folder: string): boolean {
  return globSync('swift-*.{egg,dist}-info', { cwd: folder }).some((name) => {
    const [, major, minor] = /^swift-(\d+)\.(\d+)/.exec(name) ?? [];
    return Number(major) * 1000 + Number(minor) >= 2035;
  });
}

/** The address that the machine's own packages come from. */
function mirrorOf(folder: string): string | null {
  const files = globSync(['sources.list', 'sources.list.d/*'], { cwd: folder });
  const text = files.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
  return /^(?:URIs:|deb(?:\s+\[.*\])?)\s+(https?:\/\/\S+\/debian\/?)(?:\s|$)/m.exec(text)?.[1] ?? null;
}

/** An apt of its own, so that the machine's stays as it is. @returns its configuration file */
function configureApt(folder: string, mirror: string): string {
  for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, name), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const options = existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  writeFileSync(join(folder, 'sources.list'), `deb ${options}${mirror} ${SUITE} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
    'Acquire::http::Timeout': '20',
  };
  const config = join(folder, 'apt.conf');
  writeFileSync(
    config,
    Object.entries(settings)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(''),
  );
  return config;
}

function run([command, ...args]: [string, ...string[]], cwd: string, config: string): string | null {
  const env = { ...process.env, APT_CONFIG: config };
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: STEP_LIMIT_MS });
  if (done.status === 0) return null;
  const why =
    done.error?.message ?? `ended with ${done.status ?? done.signal}: ${done.stderr.trim().split('\n').at(-1)}`;
  return `${command} ${args[0]} ${why}`;
}
