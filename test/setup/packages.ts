// Makes sure that the programs which some tests start are there. `node setup.mjs --test` runs it under Node 24.
// A test whose program is missing is skipped by name, so nothing here ever fails the run.
import {
  type DebianPackage,
  installCommand,
  installPackages,
  isOnPath,
  missingPackages,
} from '../../sfu/worker-binary/debian-packages.ts';
import { fetchS3Server, S3_SERVER_PACKAGES, s3ServerPackages } from './s3-server-package.ts';

/** The Debian packages of which tests start programs. */
export const TEST_PACKAGES: readonly DebianPackage[] = [
  { name: 'ffmpeg', programs: ['ffmpeg', 'ffprobe'] },
  { name: 'chromium', programs: ['chromium'] },
  // Debian keeps a server's programs off the PATH, in a folder a version.
  { name: 'postgresql', files: ['/usr/lib/postgresql/*/bin/initdb', '/usr/lib/postgresql/*/bin/postgres'] },
  { name: 'redis-server', programs: ['redis-server'] },
  ...S3_SERVER_PACKAGES,
];

function installMissing(): void {
  const path = process.env.PATH ?? '';
  const missing = missingPackages(TEST_PACKAGES, path);
  if (missing.length === 0) return;
  const names = missing.join(' and ');
  const skipped = `tests that need ${missing.length > 1 ? 'them' : 'it'} are skipped`;
  if (!isOnPath('apt-get', path)) {
    console.error(`setup: ${names} missing and there is no apt-get to install from; ${skipped}`);
  } else if (process.getuid?.() !== 0) {
    console.error(`setup: ${names} missing; run: sudo ${installCommand(missing)} (until then ${skipped})`);
  } else {
    console.error(`setup: installing ${names} for tests (once; a minute or two)`);
    const failure = installPackages(missing);
    if (failure) console.error(`setup: ${failure}; ${skipped}`);
  }
}

/** Of the S3 server a newer version is needed than Debian 12 has. */
function fetchMissing(): void {
  if (missingPackages(S3_SERVER_PACKAGES, '').length > 0 || s3ServerPackages() !== null) return;
  console.error('setup: fetching an S3 server for tests (once; some seconds)');
  const failure = fetchS3Server();
  if (failure) console.error(`setup: ${failure}; tests that need an S3 server are skipped`);
}

if (import.meta.main) {
  try {
    installMissing();
    fetchMissing();
  } catch (error) {
    console.error(`setup: could not look after the packages of tests: ${error}`);
  }
}
